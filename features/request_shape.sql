-- What the caller tells us before we choose, taken at the door.
-- grain: event_id
select
    attempts.event_id,
    attempts.start_time as as_of,
    attempts.route,
    attempts.team_id as team,
    shape.tools,
    shape.images,
    shape.turn,
    shape.text
from attempts
left join request_features as shape using (event_id)
