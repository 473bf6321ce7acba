// The ADBC driver for Flight SQL from Go, on a cluster with TPC-H's tables.
//
//	clients checks URI            what a program does with it: "ok NAME" or "failed NAME: why" for each check
//	clients queries URI FOLDER SQL...   runs each NAME.sql of a folder and writes its rows to NAME.rows, after SQL...
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

const deadline = 60 * time.Second

// connect opens a session: the cookie is what makes the calls of a connection one. A certificate and a log-in come from
// the environment.
func connect(ctx context.Context, uri string) (adbc.Connection, error) {
	options := map[string]string{
		adbc.OptionKeyURI:                uri,
		flightsql.OptionCookieMiddleware: adbc.OptionValueEnabled,
	}
	if path := os.Getenv("TLS_CA"); path != "" {
		certificates, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		options[flightsql.OptionSSLRootCerts] = string(certificates)
	}
	if user := os.Getenv("USERNAME"); user != "" {
		options[adbc.OptionKeyUsername] = user
		options[adbc.OptionKeyPassword] = os.Getenv("PASSWORD")
	}
	if token := os.Getenv("TOKEN"); token != "" {
		options[flightsql.OptionAuthorizationHeader] = "Bearer " + token
	}
	database, err := flightsql.NewDriver(memory.DefaultAllocator).NewDatabase(options)
	if err != nil {
		return nil, err
	}
	return database.Open(ctx)
}

// query gives all batches of a result; they are to be released.
func query(ctx context.Context, connection adbc.Connection, sql string) (*arrow.Schema, []arrow.Record, error) {
	statement, err := connection.NewStatement()
	if err != nil {
		return nil, nil, err
	}
	defer statement.Close()
	if err := statement.SetSqlQuery(sql); err != nil {
		return nil, nil, err
	}
	return collect(ctx, statement)
}

func collect(ctx context.Context, statement adbc.Statement) (*arrow.Schema, []arrow.Record, error) {
	reader, _, err := statement.ExecuteQuery(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer reader.Release()
	var batches []arrow.Record
	for reader.Next() {
		batch := reader.Record()
		batch.Retain()
		batches = append(batches, batch)
	}
	return reader.Schema(), batches, reader.Err()
}

func update(ctx context.Context, connection adbc.Connection, sql string) (int64, error) {
	statement, err := connection.NewStatement()
	if err != nil {
		return 0, err
	}
	defer statement.Close()
	if err := statement.SetSqlQuery(sql); err != nil {
		return 0, err
	}
	return statement.ExecuteUpdate(ctx)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "checks":
		err = runChecks(ctx, os.Args[2])
	case len(os.Args) >= 4 && os.Args[1] == "queries":
		err = runQueries(ctx, os.Args[2], os.Args[3], os.Args[4:])
	default:
		err = fmt.Errorf("usage: clients checks URI | clients queries URI FOLDER [SQL]...")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
