SELECT x % 3 AS vendor, count(*) AS trips, sum(x) AS fare FROM range(9000) t(x) GROUP BY 1 ORDER BY 1;
