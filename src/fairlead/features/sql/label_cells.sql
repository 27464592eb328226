-- Where did each request of which something was said go, and on which route?
with routes as (
    select request_id, any_value(route) as route
    from request_features
    where route is not null
    group by request_id
)
select final_attempts.request_id, any_value(endpoint) as endpoint, any_value(coalesce(routes.route, attempts.route, '')) as route
from final_attempts
join attempts using (event_id)
left join routes on routes.request_id = final_attempts.request_id
where final_attempts.request_id in (select request_id from evaluator_scores)
group by final_attempts.request_id
