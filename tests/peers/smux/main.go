// A peer for interoperability tests: streams over TCP by the Go library that
// the reference uses.
//
//	smux-peer serve   [-version N] [-buffer N] [-addr HOST:PORT]
//	smux-peer connect [-version N] [-buffer N] -addr HOST:PORT [-streams N] [-bytes N]
//
// serve prints "listening HOST:PORT" and echoes every stream of every
// connection until it ends. connect opens streams, each sends bytes and checks
// that they come back; it prints "ok" and exits with 0.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"os"
	"sync"
	"time"

	"github.com/xtaci/smux"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: smux-peer serve|connect [flags]")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	version := flags.Int("version", 1, "protocol version")
	buffer := flags.Int("buffer", 65536, "stream buffer")
	addr := flags.String("addr", "127.0.0.1:0", "address")
	streams := flags.Int("streams", 1, "number of streams")
	size := flags.Int("bytes", 1, "bytes per stream")
	if err := flags.Parse(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
	config := smux.DefaultConfig()
	config.Version = *version
	config.MaxStreamBuffer = *buffer

	var err error
	switch os.Args[1] {
	case "serve":
		err = serve(*addr, config)
	case "connect":
		err = connect(*addr, config, *streams, *size)
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve(addr string, config *smux.Config) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("listening", listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		session, err := smux.Server(conn, config)
		if err != nil {
			return err
		}
		go func() {
			defer session.Close()
			for {
				stream, err := session.AcceptStream()
				if err != nil {
					return
				}
				go func() {
					defer stream.Close()
					io.Copy(stream, stream)
				}()
			}
		}()
	}
}

func connect(addr string, config *smux.Config, streams, size int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	session, err := smux.Client(conn, config)
	if err != nil {
		return err
	}
	defer session.Close()

	results := make(chan error, streams)
	var all sync.WaitGroup
	for seed := range streams {
		all.Add(1)
		go func() {
			defer all.Done()
			results <- exchange(session, int64(seed), size)
		}()
	}
	all.Wait()
	close(results)
	for err := range results {
		if err != nil {
			return err
		}
	}
	fmt.Println("ok")
	return nil
}

// exchange sends random bytes and compares what comes back. The stream is
// closed only afterwards: closing is no half-close.
func exchange(session *smux.Session, seed int64, size int) error {
	stream, err := session.OpenStream()
	if err != nil {
		return err
	}
	defer stream.Close()
	stream.SetDeadline(time.Now().Add(60 * time.Second))
	sent := make([]byte, size)
	rand.New(rand.NewSource(seed)).Read(sent)
	failed := make(chan error, 1)
	go func() {
		_, err := stream.Write(sent)
		failed <- err
	}()
	received := make([]byte, size)
	if _, err := io.ReadFull(stream, received); err != nil {
		return fmt.Errorf("stream %d: %w", stream.ID(), err)
	}
	if err := <-failed; err != nil {
		return err
	}
	if !bytes.Equal(sent, received) {
		return fmt.Errorf("stream %d: other bytes came back", stream.ID())
	}
	return nil
}
