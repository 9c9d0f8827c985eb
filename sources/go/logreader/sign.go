package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"

	cosignature "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// verifiers reads one verifier key a line: plain Ed25519 by x/mod, cosignature types by formats.
func verifiers(file string) (note.Verifiers, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var all []note.Verifier
	for _, line := range strings.Fields(string(text)) {
		key, err := note.NewVerifier(line)
		if err != nil {
			key, err = cosignature.NewVerifierForCosignatureV1(line)
		}
		if err != nil {
			return nil, fmt.Errorf("%.60s: %w", line, err)
		}
		all = append(all, key)
	}
	return note.VerifierList(all...), nil
}

// checkProof judges the proof in file args[0] about the entry in file args[1], with the keys in file args[2].
func checkProof(args []string) (any, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("proof needs a proof, an entry and verifier keys")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return nil, err
	}
	entry, err := os.ReadFile(args[1])
	if err != nil {
		return nil, err
	}
	keys, err := verifiers(args[2])
	if err != nil {
		return nil, err
	}
	var given proof.TLogProof
	if err := given.Unmarshal(text); err != nil {
		return nil, err
	}
	head, opened, err := open(given.Checkpoint, keys)
	if err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, 0, len(given.Hashes))
	for _, one := range given.Hashes {
		hashes = append(hashes, tlog.Hash(one))
	}
	err = tlog.CheckRecord(
		hashes, int64(head.Size), tlog.Hash(head.Hash), int64(given.Index), tlog.RecordHash(entry),
	)
	return map[string]any{"index": given.Index, "size": head.Size, "signers": names(opened)}, err
}

// cosign signs the checkpoint in file args[1] as args[0], with an Ed25519 and an ML-DSA-44 key made for it.
func cosign(args []string) (any, error) {
	if len(args) != 2 {
		return nil, fmt.Errorf("cosign needs a name and a checkpoint")
	}
	raw, err := os.ReadFile(args[1])
	if err != nil {
		return nil, err
	}
	text, signatures, _ := strings.Cut(string(raw), "\n\n")
	classic, public, err := note.GenerateKey(rand.Reader, args[0])
	if err != nil {
		return nil, err
	}
	hybrid, hybridPublic, err := cosignature.GenerateMLDSAKey(args[0])
	if err != nil {
		return nil, err
	}
	classicPublic, err := cosignature.VKeyToCosignatureV1(public)
	if err != nil {
		return nil, err
	}
	lines := ""
	for _, key := range []string{classic, hybrid} {
		signer, err := cosignature.NewSignerForCosignatureV1(key)
		if err != nil {
			return nil, err
		}
		signed, err := note.Sign(&note.Note{Text: text + "\n"}, signer)
		if err != nil {
			return nil, err
		}
		_, line, _ := strings.Cut(string(signed), "\n\n")
		lines += line
	}
	cosigned := text + "\n\n" + signatures + lines
	return map[string]any{"checkpoint": cosigned, "vkeys": []string{classicPublic, hybridPublic}}, nil
}
