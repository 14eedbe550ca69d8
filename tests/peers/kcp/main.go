// A peer for interoperability tests: KCP by the Go library that the reference
// uses, with nothing on top of it.
//
//	kcp-peer serve   [flags] [-addr HOST:PORT]
//	kcp-peer connect [flags] -addr HOST:PORT [-conv N] [-bytes N]
//
// serve prints "listening HOST:PORT" and echoes what comes in every session
// until it ends. connect sends bytes and checks that they come back; it prints
// "ok" and exits with 0. The flags say how sessions are run; their names are
// those of kcptun.
package main

import (
	"bytes"
	"crypto/sha1"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"os"
	"time"

	"github.com/xtaci/kcp-go/v5"
	"golang.org/x/crypto/pbkdf2"
)

type settings struct {
	key, crypt            string
	data, parity          int
	nodelay, interval     int
	resend, nc            int
	mtu, sndwnd, rcvwnd   int
	acknodelay, notstream bool
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: kcp-peer serve|connect [flags]")
	}
	var s settings
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&s.key, "key", "", "what the key is derived from")
	flags.StringVar(&s.crypt, "crypt", "aes", "cipher")
	flags.IntVar(&s.data, "datashard", 10, "data shards")
	flags.IntVar(&s.parity, "parityshard", 3, "parity shards")
	flags.IntVar(&s.nodelay, "nodelay", 0, "first of the four numbers")
	flags.IntVar(&s.interval, "interval", 10, "second of the four numbers")
	flags.IntVar(&s.resend, "resend", 0, "third of the four numbers")
	flags.IntVar(&s.nc, "nc", 0, "last of the four numbers")
	flags.IntVar(&s.mtu, "mtu", 1400, "longest datagram")
	flags.IntVar(&s.sndwnd, "sndwnd", 32, "send window")
	flags.IntVar(&s.rcvwnd, "rcvwnd", 32, "receive window")
	flags.BoolVar(&s.acknodelay, "acknodelay", false, "acknowledge at once")
	flags.BoolVar(&s.notstream, "messages", false, "keep the bounds of what is written")
	addr := flags.String("addr", "127.0.0.1:0", "address")
	conv := flags.Uint("conv", 1, "number of the conversation")
	size := flags.Int("bytes", 1, "bytes to send")
	if err := flags.Parse(os.Args[2:]); err != nil {
		log.Fatal(err)
	}

	var err error
	switch os.Args[1] {
	case "serve":
		err = serve(*addr, &s)
	case "connect":
		err = connect(*addr, &s, uint32(*conv), *size)
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// block is the cipher under the key that kcptun and the reference derive.
func (s *settings) block() (kcp.BlockCrypt, error) {
	pass := pbkdf2.Key([]byte(s.key), []byte("kcp-go"), 4096, 32, sha1.New)
	switch s.crypt {
	case "aes":
		return kcp.NewAESBlockCrypt(pass)
	case "aes-128":
		return kcp.NewAESBlockCrypt(pass[:16])
	case "aes-192":
		return kcp.NewAESBlockCrypt(pass[:24])
	case "sm4":
		return kcp.NewSM4BlockCrypt(pass[:16])
	case "tea":
		return kcp.NewTEABlockCrypt(pass[:16])
	case "xtea":
		return kcp.NewXTEABlockCrypt(pass[:16])
	case "xor":
		return kcp.NewSimpleXORBlockCrypt(pass)
	case "none":
		return kcp.NewNoneBlockCrypt(pass)
	case "blowfish":
		return kcp.NewBlowfishBlockCrypt(pass)
	case "twofish":
		return kcp.NewTwofishBlockCrypt(pass)
	case "cast5":
		return kcp.NewCast5BlockCrypt(pass[:16])
	case "3des":
		return kcp.NewTripleDESBlockCrypt(pass[:24])
	case "salsa20":
		return kcp.NewSalsa20BlockCrypt(pass)
	}
	return nil, fmt.Errorf("unknown cipher %q", s.crypt)
}

func (s *settings) apply(session *kcp.UDPSession) {
	session.SetStreamMode(!s.notstream)
	session.SetWriteDelay(false)
	session.SetNoDelay(s.nodelay, s.interval, s.resend, s.nc)
	session.SetMtu(s.mtu)
	session.SetWindowSize(s.sndwnd, s.rcvwnd)
	session.SetACKNoDelay(s.acknodelay)
}

func serve(addr string, s *settings) error {
	block, err := s.block()
	if err != nil {
		return err
	}
	listener, err := kcp.ListenWithOptions(addr, block, s.data, s.parity)
	if err != nil {
		return err
	}
	fmt.Println("listening", listener.Addr())
	for {
		session, err := listener.AcceptKCP()
		if err != nil {
			return err
		}
		s.apply(session)
		go func() {
			defer session.Close()
			io.Copy(session, session)
		}()
	}
}

func connect(addr string, s *settings, conv uint32, size int) error {
	block, err := s.block()
	if err != nil {
		return err
	}
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	session, err := kcp.NewConn3(conv, to, block, s.data, s.parity, conn)
	if err != nil {
		return err
	}
	defer session.Close()
	s.apply(session)
	session.SetDeadline(time.Now().Add(60 * time.Second))

	sent := make([]byte, size)
	rand.New(rand.NewSource(1)).Read(sent)
	failed := make(chan error, 1)
	go func() {
		_, err := session.Write(sent)
		failed <- err
	}()
	received := make([]byte, size)
	if _, err := io.ReadFull(session, received); err != nil {
		return err
	}
	if err := <-failed; err != nil {
		return err
	}
	if !bytes.Equal(sent, received) {
		return fmt.Errorf("other bytes came back")
	}
	fmt.Println("ok")
	return nil
}
