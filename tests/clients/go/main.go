// The Go clients behind one program: `clients LIBRARY session BOOTSTRAP [VERSION]` answers the lines that session.rs
// sends, `clients LIBRARY member BOOTSTRAP GROUP TOPIC ASSIGNOR [INSTANCE_ID]` is one member of a group, and
// `clients LIBRARY transactor BOOTSTRAP` answers the lines of tests/transactions/client.rs, and
// `clients LIBRARY sweep BOOTSTRAP NAME` those of tests/admin/sweeps.rs.
//
// Sarama asks no broker what it knows: VERSION is the one of Kafka that it is told to assume.
//
// What the libraries share is in session.go, member.go, transactor.go and sweep.go; each library has a file for each,
// but kafka-go has no transactions and is not asked for its administrative calls.
package main

import (
	"context"
	"fmt"
	"os"
)

// One library, in all of its parts.
type library struct {
	session func(bootstrap, version string) verbs
	member  func(context.Context, membership) error
	transactor
	sweep sweeper
}

var libraries = map[string]library{
	"sarama":   {saramaSession, saramaMember, saramaTransactor, saramaSweeper},
	"kafka-go": {kafkaGoSession, kafkaGoMember, nil, nil},
	"franz-go": {franzSession, franzMember, franzTransactor, franzSweeper},
}

func main() {
	if len(os.Args) < 4 {
		fail("usage: clients LIBRARY session|member|transactor|sweep BOOTSTRAP ...")
	}
	chosen, known := libraries[os.Args[1]]
	if !known {
		fail("unknown library " + os.Args[1])
	}
	switch os.Args[2] {
	case "session":
		words := append(os.Args[3:], "")
		answerLines(chosen.session(words[0], words[1]))
	case "member":
		runMember(chosen.member, os.Args[3:])
	case "transactor":
		answerLines(chosen.transactor(os.Args[3]))
	case "sweep":
		runSweep(chosen.sweep, os.Args[3:])
	default:
		fail("unknown part " + os.Args[2])
	}
}

func fail(sentence string) {
	fmt.Println("failed " + sentence)
	os.Exit(1)
}
