package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

const longQuery = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE (a.range * b.range) % 7 = 3"

type check struct {
	name string
	run  func(ctx context.Context, connection adbc.Connection, uri string) error
}

var checks = []check{
	{"Types", checkTypes},
	{"EmptyResult", checkEmptyResult},
	{"ManyRows", checkManyRows},
	{"Updates", checkUpdates},
	{"Errors", checkErrors},
	{"ConnectionsAreSessions", checkConnectionsAreSessions},
	{"PreparedStatement", checkPreparedStatement},
	{"PreparedUpdate", checkPreparedUpdate},
	{"Partitions", checkPartitions},
	{"Cancel", checkCancel},
	{"Info", checkInfo},
	{"Objects", checkObjects},
	{"TableSchema", checkTableSchema},
	{"TableTypes", checkTableTypes},
}

func runChecks(ctx context.Context, uri string) error {
	connection, err := connect(ctx, uri)
	if err != nil {
		return err
	}
	defer connection.Close()
	for _, each := range checks {
		if err := each.run(ctx, connection, uri); err != nil {
			fmt.Printf("failed %s: %v\n", each.name, err)
		} else {
			fmt.Printf("ok %s\n", each.name)
		}
	}
	return nil
}

func equal(what string, expected, got any) error {
	if !reflect.DeepEqual(expected, got) {
		return fmt.Errorf("%s: expected %v, got %v", what, expected, got)
	}
	return nil
}

// text gives the rows of a query, values with blanks between, a row each.
func text(ctx context.Context, connection adbc.Connection, sql string) ([]string, error) {
	_, batches, err := query(ctx, connection, sql)
	if err != nil {
		return nil, err
	}
	return textOf(batches), nil
}

func textOf(batches []arrow.Record) []string {
	rows := []string{}
	for _, batch := range batches {
		for row := 0; row < int(batch.NumRows()); row++ {
			var cells []string
			for _, column := range batch.Columns() {
				cells = append(cells, cell(column, row))
			}
			rows = append(rows, strings.Join(cells, " "))
		}
		batch.Release()
	}
	return rows
}

func checkTypes(ctx context.Context, connection adbc.Connection, _ string) error {
	cases := [][3]string{
		{"200::UTINYINT", "uint8", "200"},
		{"-3::INTEGER", "int32", "-3"},
		{"18446744073709551615::UBIGINT", "uint64", "18446744073709551615"},
		{"170141183460469231731687303715884105727::HUGEINT", "decimal(38, 0)",
			"170141183460469231731687303715884105727"},
		{"12.34::DECIMAL(10,2)", "decimal(10, 2)", "12.34"},
		{"1.5::DOUBLE", "float64", "1.5"},
		{"true", "bool", "true"},
		{"'ü😀'", "utf8", "ü😀"},
		{"'\\xAB'::BLOB", "binary", "qw=="},
		{"DATE '2024-02-29'", "date32", "2024-02-29"},
		{"TIMESTAMP '2024-07-02 03:04:05.678901'", "timestamp[us]", "2024-07-02 03:04:05.678901Z"},
		{"TIMESTAMPTZ '2024-07-02 03:04:05+02'", "timestamp[us, tz=Etc/UTC]", "2024-07-02 01:04:05Z"},
		{"[1, NULL]", "list<l: int32, nullable>", "[1,null]"},
		{"{'a': 1, 'b': 'x'}", "struct<a: int32, b: utf8>", `{"a":1,"b":"x"}`},
		{"'b'::ENUM('a', 'b')", "dictionary<values=utf8, indices=uint8, ordered=false>", "b"},
		{"NULL::INTEGER", "int32", "(null)"},
		{"NULL::VARCHAR[]", "list<l: utf8, nullable>", "(null)"},
	}
	var problems []error
	for _, one := range cases {
		schema, batches, err := query(ctx, connection, "SELECT "+one[0]+" AS v")
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", one[0], err))
			continue
		}
		problems = append(problems, equal(one[0]+": type", one[1], schema.Field(0).Type.String()),
			equal(one[0], []string{one[2]}, textOf(batches)))
	}
	return errors.Join(problems...)
}

func checkEmptyResult(ctx context.Context, connection adbc.Connection, _ string) error {
	schema, batches, err := query(ctx, connection, "SELECT l_orderkey, l_comment FROM lineitem WHERE l_orderkey < 0")
	if err != nil {
		return err
	}
	return errors.Join(equal("columns", "l_orderkey l_comment", schema.Field(0).Name+" "+schema.Field(1).Name),
		equal("type", arrow.INT64, schema.Field(0).Type.ID()), equal("rows", []string{}, textOf(batches)))
}

func checkManyRows(ctx context.Context, connection adbc.Connection, _ string) error {
	_, batches, err := query(ctx, connection, "SELECT range AS r FROM range(1000000)")
	if err != nil {
		return err
	}
	var rows, sum int64
	for _, batch := range batches {
		for _, value := range batch.Column(0).(*array.Int64).Int64Values() {
			rows++
			sum += value
		}
		batch.Release()
	}
	return errors.Join(equal("rows", int64(1000000), rows), equal("sum", int64(499999500000), sum))
}

func checkUpdates(ctx context.Context, connection adbc.Connection, _ string) error {
	if _, err := update(ctx, connection, "CREATE TABLE changed (a INTEGER)"); err != nil {
		return err
	}
	rows, err := update(ctx, connection, "INSERT INTO changed VALUES (1), (2), (3)")
	if err := errors.Join(err, equal("inserted", int64(3), rows)); err != nil {
		return err
	}
	found, err := text(ctx, connection, "SELECT sum(a) FROM changed")
	_, dropped := update(ctx, connection, "DROP TABLE changed")
	return errors.Join(err, dropped, equal("sum", []string{"6"}, found))
}

func checkErrors(ctx context.Context, connection adbc.Connection, _ string) error {
	cases := [][2]string{
		{"SELEC 1", `syntax error at or near "SELEC"`},
		{"SELECT nowhere FROM nation", `column "nowhere" not found`},
		{"SELECT n_name::INTEGER FROM nation", "Could not convert string"},
	}
	var problems []error
	for _, one := range cases {
		_, err := text(ctx, connection, one[0])
		var typed adbc.Error
		if !errors.As(err, &typed) || typed.Code != adbc.StatusInvalidArgument || !strings.Contains(typed.Msg, one[1]) {
			problems = append(problems, fmt.Errorf("%s: expected %s, got %v", one[0], one[1], err))
		}
	}
	return errors.Join(problems...)
}

func checkConnectionsAreSessions(ctx context.Context, connection adbc.Connection, uri string) error {
	other, err := connect(ctx, uri)
	if err != nil {
		return err
	}
	defer other.Close()
	if _, err := update(ctx, other, "CREATE TEMP VIEW mine AS SELECT 42 AS answer"); err != nil {
		return err
	}
	found, err := text(ctx, other, "SELECT answer FROM mine")
	if _, there := text(ctx, connection, "SELECT answer FROM mine"); there == nil {
		return errors.New("a temporary view of another connection")
	}
	return errors.Join(err, equal("here", []string{"42"}, found))
}

// parameters makes a batch of two columns.
func parameters(numbers []int32, texts []string) arrow.Record {
	schema := arrow.NewSchema([]arrow.Field{{Name: "1", Type: arrow.PrimitiveTypes.Int32},
		{Name: "2", Type: arrow.BinaryTypes.String}}, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	builder.Field(0).(*array.Int32Builder).AppendValues(numbers, nil)
	builder.Field(1).(*array.StringBuilder).AppendValues(texts, nil)
	return builder.NewRecord()
}

func checkPreparedStatement(ctx context.Context, connection adbc.Connection, _ string) error {
	statement, err := connection.NewStatement()
	if err != nil {
		return err
	}
	defer statement.Close()
	sql := "SELECT n_name FROM nation WHERE n_regionkey = ? AND n_name > ? ORDER BY n_name"
	if err := errors.Join(statement.SetSqlQuery(sql), statement.Prepare(ctx)); err != nil {
		return err
	}
	schema, err := statement.GetParameterSchema()
	if err := errors.Join(err, equal("parameters", 2, schema.NumFields())); err != nil {
		return err
	}
	for _, one := range []struct {
		key      int32
		name     string
		expected []string
	}{{0, "K", []string{"KENYA", "MOROCCO", "MOZAMBIQUE"}}, {1, "P", []string{"PERU", "UNITED STATES"}}} {
		if err := statement.Bind(ctx, parameters([]int32{one.key}, []string{one.name})); err != nil {
			return err
		}
		_, batches, err := collect(ctx, statement)
		if err := errors.Join(err, equal("rows", one.expected, textOf(batches))); err != nil {
			return err
		}
	}
	return nil
}

func checkPreparedUpdate(ctx context.Context, connection adbc.Connection, _ string) error {
	if _, err := update(ctx, connection, "CREATE TABLE filled (a INTEGER, b VARCHAR)"); err != nil {
		return err
	}
	statement, err := connection.NewStatement()
	if err != nil {
		return err
	}
	defer statement.Close()
	err = errors.Join(statement.SetSqlQuery("INSERT INTO filled VALUES (?, ?)"), statement.Prepare(ctx),
		statement.Bind(ctx, parameters([]int32{1, 2, 3}, []string{"x", "it's", "z"})))
	if err != nil {
		return err
	}
	rows, err := statement.ExecuteUpdate(ctx)
	found, read := text(ctx, connection, "SELECT a, b FROM filled ORDER BY a")
	_, dropped := update(ctx, connection, "DROP TABLE filled")
	return errors.Join(err, read, dropped, equal("inserted", int64(3), rows),
		equal("rows", []string{"1 x", "2 it's", "3 z"}, found))
}

// checkPartitions reads the parts of a result through another connection, as other machines would.
func checkPartitions(ctx context.Context, connection adbc.Connection, uri string) error {
	statement, err := connection.NewStatement()
	if err != nil {
		return err
	}
	defer statement.Close()
	if err := statement.SetSqlQuery("SELECT n_nationkey FROM nation"); err != nil {
		return err
	}
	_, partitions, _, err := statement.ExecutePartitions(ctx)
	if err != nil {
		return err
	}
	other, err := connect(ctx, uri)
	if err != nil {
		return err
	}
	defer other.Close()
	rows := int64(0)
	for _, partition := range partitions.PartitionIDs {
		reader, err := other.ReadPartition(ctx, partition)
		if err != nil {
			return err
		}
		for reader.Next() {
			rows += reader.Record().NumRows()
		}
		err = reader.Err()
		reader.Release()
		if err != nil {
			return err
		}
	}
	return equal("rows", int64(25), rows)
}

func checkCancel(ctx context.Context, connection adbc.Connection, _ string) error {
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	start := time.Now()
	_, err := text(short, connection, longQuery)
	var typed adbc.Error
	if !errors.As(err, &typed) || (typed.Code != adbc.StatusCancelled && typed.Code != adbc.StatusTimeout) {
		return fmt.Errorf("expected a cancelled query, got %v", err)
	}
	found, err := text(ctx, connection, "SELECT count(*) FROM region")
	return errors.Join(err, equal("goes on", []string{"5"}, found), equal("soon", true, time.Since(start) < 8*time.Second))
}

func checkInfo(ctx context.Context, connection adbc.Connection, _ string) error {
	codes := []adbc.InfoCode{adbc.InfoVendorName, adbc.InfoVendorSql, adbc.InfoVendorSubstrait}
	reader, err := connection.GetInfo(ctx, codes)
	if err != nil {
		return err
	}
	defer reader.Release()
	var found []string
	for reader.Next() {
		for row := 0; row < int(reader.Record().NumRows()); row++ {
			values := reader.Record().Column(1).(*array.DenseUnion)
			child := values.Field(values.ChildID(row))
			found = append(found, reader.Record().Column(0).ValueStr(row)+"="+child.ValueStr(int(values.ValueOffset(row))))
		}
	}
	sort.Strings(found)
	return equal("info", []string{"0=Ballista", "3=true", "4=true"}, found)
}

func checkObjects(ctx context.Context, connection adbc.Connection, _ string) error {
	table, column := "nat%", "n_%key"
	reader, err := connection.GetObjects(ctx, adbc.ObjectDepthColumns, nil, nil, &table, &column, nil)
	if err != nil {
		return err
	}
	defer reader.Release()
	var found []string
	for reader.Next() {
		found = append(found, reader.Record().Column(1).ValueStr(0))
	}
	all := strings.Join(found, "")
	for _, part := range []string{`"table_name":"nation"`, `"column_name":"n_nationkey"`, `"column_name":"n_regionkey"`} {
		if !strings.Contains(all, part) {
			return fmt.Errorf("expected %s in %s", part, all)
		}
	}
	for _, part := range []string{`"region"`, `"n_comment"`} {
		if strings.Contains(all, part) {
			return fmt.Errorf("unexpected %s in %s", part, all)
		}
	}
	return nil
}

func checkTableSchema(ctx context.Context, connection adbc.Connection, _ string) error {
	schema, err := connection.GetTableSchema(ctx, nil, nil, "region")
	if err != nil {
		return err
	}
	found := make([]string, schema.NumFields())
	for i, field := range schema.Fields() {
		found[i] = field.Name + " " + field.Type.String()
	}
	return equal("fields", []string{"r_regionkey int64", "r_name utf8", "r_comment utf8"}, found)
}

func checkTableTypes(ctx context.Context, connection adbc.Connection, _ string) error {
	reader, err := connection.GetTableTypes(ctx)
	if err != nil {
		return err
	}
	defer reader.Release()
	var found []string
	for reader.Next() {
		for row := 0; row < int(reader.Record().NumRows()); row++ {
			found = append(found, reader.Record().Column(0).ValueStr(row))
		}
	}
	return equal("types", []string{"BASE TABLE", "LOCAL TEMPORARY", "VIEW"}, found)
}
