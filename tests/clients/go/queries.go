package main

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// runQueries writes, for each query, a line with the names of the columns' types, then one a row, values in JSON as
// text or null.
func runQueries(ctx context.Context, uri, folder string, before []string) error {
	connection, err := connect(ctx, uri)
	if err != nil {
		return err
	}
	defer connection.Close()
	for _, sql := range before {
		if _, err := update(ctx, connection, sql); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.sql"))
	if err != nil {
		return err
	}
	for _, file := range files {
		sql, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		schema, batches, err := query(ctx, connection, string(sql))
		if err != nil {
			return err
		}
		if err := writeRows(strings.TrimSuffix(file, ".sql")+".rows", schema, batches); err != nil {
			return err
		}
	}
	return nil
}

// cell gives a value's text; of a decimal all digits, which ValueStr does not.
func cell(column arrow.Array, row int) string {
	if decimals, ok := column.(*array.Decimal128); ok && !decimals.IsNull(row) {
		return decimals.Value(row).ToString(decimals.DataType().(*arrow.Decimal128Type).Scale)
	}
	return column.ValueStr(row)
}

func writeRows(path string, schema *arrow.Schema, batches []arrow.Record) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	lines := json.NewEncoder(out)
	types := make([]string, schema.NumFields())
	for i, field := range schema.Fields() {
		types[i] = field.Type.String()
	}
	if err := lines.Encode(types); err != nil {
		return err
	}
	for _, batch := range batches {
		for row := 0; row < int(batch.NumRows()); row++ {
			cells := make([]*string, batch.NumCols())
			for i, column := range batch.Columns() {
				if !column.IsNull(row) {
					text := cell(column, row)
					cells[i] = &text
				}
			}
			if err := lines.Encode(cells); err != nil {
				return err
			}
		}
		batch.Release()
	}
	return out.Flush()
}
