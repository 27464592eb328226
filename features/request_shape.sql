-- What the caller tells us before we choose, taken at the door.
-- grain: event_id
select
    shape.event_id,
    shape.start_time as as_of,
    shape.route,
    attempts.team_id as team,
    shape.tools,
    shape.images,
    shape.turn,
    shape.text
from request_features as shape
left join attempts using (event_id)
