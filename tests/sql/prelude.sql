-- The tables of the corpus. __DATA__ is the folder that make_data.py fills. Run once on a cluster; on DuckDB,
-- where each CREATE EXTERNAL TABLE becomes a view, once a connection.
CREATE EXTERNAL TABLE facts STORED AS PARQUET LOCATION '__DATA__/facts';
CREATE EXTERNAL TABLE dims STORED AS PARQUET LOCATION '__DATA__/dims/*.parquet';
CREATE EXTERNAL TABLE small STORED AS PARQUET LOCATION '__DATA__/small/part-0.parquet';
CREATE EXTERNAL TABLE empty_table STORED AS PARQUET LOCATION '__DATA__/empty_table';
CREATE EXTERNAL TABLE nulls_a STORED AS PARQUET LOCATION '__DATA__/nulls_a';
CREATE EXTERNAL TABLE nulls_b STORED AS PARQUET LOCATION '__DATA__/nulls_b';
CREATE EXTERNAL TABLE no_nulls STORED AS PARQUET LOCATION '__DATA__/no_nulls';
CREATE EXTERNAL TABLE all_nulls STORED AS PARQUET LOCATION '__DATA__/all_nulls';
CREATE EXTERNAL TABLE raw_types STORED AS PARQUET LOCATION '__DATA__/raw_types';
CREATE EXTERNAL TABLE nested STORED AS PARQUET LOCATION '__DATA__/nested';
CREATE EXTERNAL TABLE trades STORED AS PARQUET LOCATION '__DATA__/trades';
CREATE EXTERNAL TABLE quotes STORED AS PARQUET LOCATION '__DATA__/quotes';
CREATE EXTERNAL TABLE numbers STORED AS PARQUET LOCATION '__DATA__/numbers';
CREATE EXTERNAL TABLE words STORED AS PARQUET LOCATION '__DATA__/words';
CREATE EXTERNAL TABLE edges STORED AS PARQUET LOCATION '__DATA__/edges';
CREATE EXTERNAL TABLE wide STORED AS PARQUET LOCATION '__DATA__/wide';
CREATE EXTERNAL TABLE people STORED AS CSV LOCATION '__DATA__/people_csv';
CREATE EXTERNAL TABLE logs STORED AS JSON LOCATION '__DATA__/logs_json';
CREATE EXTERNAL TABLE sales STORED AS PARQUET LOCATION '__DATA__/sales_hive';
CREATE VIEW types AS
  SELECT id, bo, ti, si, it, bi, hi_text::HUGEINT AS hi, ut, us, ui, ub, uh_text::UHUGEINT AS uh, fl, db, d4, d9, d18, d38,
    vc, bl, bt_text::BIT AS bt, uu, da, tm, ts, ts_s_text::TIMESTAMP_S AS ts_s, ts::TIMESTAMP_MS AS ts_ms, ts_ns, tz, CASE WHEN id % 5 = 0 THEN -iv ELSE iv END AS iv,
    en_text::ENUM('low', 'mid', 'high', 'HIGH') AS en, js_text::JSON AS js, [it, si, NULL]::INTEGER[] AS li,
    [d4, d4 + 1]::DECIMAL(5, 1)[2] AS ar, {'x': ti, 'y': vc} AS st, map([coalesce(vc, '-')], [it]) AS mp,
    CASE WHEN id % 2 = 0 THEN union_value(num := si) ELSE vc::UNION(num SMALLINT, str VARCHAR) END AS un
  FROM raw_types;
