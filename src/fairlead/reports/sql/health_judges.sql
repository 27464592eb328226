-- What is known of each judge? `known` from as many doubly scored requests as noise is estimated from.
select judge, told, n, useful, n >= 30 as known from judges order by useful, n desc, told
