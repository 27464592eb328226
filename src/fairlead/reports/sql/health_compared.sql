-- Which answers were compared, and which was preferred?
select one, other, outcome from compared
