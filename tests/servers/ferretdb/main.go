// A MongoDB wire server for tests: FerretDB on SQLite, started as a mongod is.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	folder := flag.String("dbpath", "", "where it keeps its databases")
	port := flag.Int("port", 0, "the port of the loopback, and of the socket's name; 0: no port")
	sockets := flag.String("unixSocketPrefix", "", "the folder of its socket")
	flag.String("bind_ip", "127.0.0.1", "taken as mongod takes it; always the loopback")
	flag.Bool("nojournal", false, "as mongod; not used")
	flag.Parse()
	listener := ferretdb.ListenerConfig{}
	if *sockets != "" {
		listener.Unix = fmt.Sprintf("%s/mongodb-%d.sock", *sockets, *port)
	} else {
		listener.TCP = fmt.Sprintf("127.0.0.1:%d", *port)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	server, err := ferretdb.New(&ferretdb.Config{
		Listener: listener, Logger: logger, Handler: "sqlite", SQLiteURL: "file:" + *folder + "/",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := server.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
