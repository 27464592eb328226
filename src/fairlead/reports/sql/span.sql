-- From when until when do the logs reach, as far as they are not dated in the future?
select
    min(start_time) filter (start_time < $now::timestamptz + interval 1 day) as oldest,
    max(start_time) filter (start_time < $now::timestamptz + interval 1 day) as newest,
    max(ingested_at) as last_ingested,
    count(*) filter (start_time >= $now::timestamptz + interval 1 day) as future
from attempts
