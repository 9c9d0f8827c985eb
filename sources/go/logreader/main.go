// An independent reader of the audit log, for tests: it shares no code with the appliance.
//
//	logreader read LOG VKEYS [EARLIER…]   signatures, every entry's proof, consistency with earlier checkpoints
//	logreader proof FILE ENTRY VKEYS      one c2sp.org/tlog-proof with the entry that it is about
//	logreader cosign NAME FILE            cosigns the checkpoint in FILE with two fresh keys
//
// Tiles and bundles are read, and proofs built, by transparency-dev/tessera; x/mod/sumdb/tlog judges the proofs;
// x/mod/sumdb/note and transparency-dev/formats judge the signatures. The answer is one JSON object on stdout.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("name a command: read, proof or cosign"))
	}
	commands := map[string]func([]string) (any, error){"read": read, "proof": checkProof, "cosign": cosign}
	command, known := commands[os.Args[1]]
	if !known {
		fail(fmt.Errorf("%q is no command", os.Args[1]))
	}
	answer, err := command(os.Args[2:])
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
