-- What is usual of each route and endpoint, drawn to the endpoint's mean as if that had been seen five times?
with weighed as (
    select request_id, route, endpoint, measured, weight from measured_labels join label_cells using (request_id)
),
whole as (
    select endpoint, sum(measured * weight) / sum(weight) as mean from weighed group by endpoint
),
cells as (
    select
        route, endpoint, (sum(measured * weight) + 5 * any_value(whole.mean)) / (sum(weight) + 5) as usual
    from weighed join whole using (endpoint)
    group by route, endpoint
)
select request_id, usual from weighed join cells using (route, endpoint)
