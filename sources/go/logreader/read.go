package main

import (
	"context"
	"fmt"
	"os"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const bundleWidth = 256

type answer struct {
	Origin   string   `json:"origin"`
	Size     uint64   `json:"size"`
	Signers  []string `json:"signers"` // name+id of every signature that holds
	Unknown  int      `json:"unknown"` // signatures of other keys
	Proven   int      `json:"proven"`  // entries whose inclusion proof holds
	Earlier  []uint64 `json:"earlier"` // sizes of the earlier checkpoints that this tree extends
	EntryIDs []string `json:"entries"` // leaf hashes, in order
}

// read opens the log in folder args[0] with the keys in file args[1], and proves args[2:] to be its past.
func read(args []string) (any, error) {
	if len(args) < 2 {
		return nil, fmt.Errorf("read needs a log and verifier keys")
	}
	ctx, files := context.Background(), client.FileFetcher{Root: args[0]}
	keys, err := verifiers(args[1])
	if err != nil {
		return nil, err
	}
	raw, err := files.ReadCheckpoint(ctx)
	if err != nil {
		return nil, err
	}
	head, opened, err := open(raw, keys)
	if err != nil {
		return nil, err
	}
	found := answer{Origin: head.Origin, Size: head.Size, Signers: names(opened), Unknown: len(opened.UnverifiedSigs)}
	builder, err := client.NewProofBuilder(ctx, head.Size, files.ReadTile)
	if err != nil {
		return nil, err
	}
	if err := proveEntries(ctx, &found, files, builder, head); err != nil {
		return nil, err
	}
	for _, path := range args[2:] {
		size, err := proveEarlier(ctx, path, keys, builder, head)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		found.Earlier = append(found.Earlier, size)
	}
	return found, nil
}

func open(raw []byte, keys note.Verifiers) (log.Checkpoint, *note.Note, error) {
	var head log.Checkpoint
	opened, err := note.Open(raw, keys)
	if err != nil {
		return head, nil, err
	}
	rest, err := head.Unmarshal([]byte(opened.Text))
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("the checkpoint has extension lines")
	}
	return head, opened, err
}

func names(opened *note.Note) []string {
	var all []string
	for _, one := range opened.Sigs {
		all = append(all, fmt.Sprintf("%s+%08x", one.Name, one.Hash))
	}
	return all
}

func proveEntries(
	ctx context.Context, found *answer, files client.FileFetcher, builder *client.ProofBuilder, head log.Checkpoint,
) error {
	root := tlog.Hash(head.Hash)
	for bundle := uint64(0); bundle*bundleWidth < head.Size; bundle++ {
		entries, err := client.GetEntryBundle(ctx, files.ReadEntryBundle, bundle, head.Size)
		if err != nil {
			return err
		}
		for offset, entry := range entries.Entries {
			index := bundle*bundleWidth + uint64(offset)
			hashes, err := builder.InclusionProof(ctx, index)
			if err != nil {
				return err
			}
			leaf := tlog.RecordHash(entry)
			if err := tlog.CheckRecord(path(hashes), int64(head.Size), root, int64(index), leaf); err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
			found.Proven++
			found.EntryIDs = append(found.EntryIDs, leaf.String())
		}
	}
	return nil
}

func proveEarlier(
	ctx context.Context, file string, keys note.Verifiers, builder *client.ProofBuilder, head log.Checkpoint,
) (uint64, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	old, _, err := open(raw, keys)
	if err != nil {
		return 0, err
	}
	hashes, err := builder.ConsistencyProof(ctx, old.Size, head.Size)
	if err != nil {
		return 0, err
	}
	return old.Size, tlog.CheckTree(
		path(hashes), int64(head.Size), tlog.Hash(head.Hash), int64(old.Size), tlog.Hash(old.Hash),
	)
}

func path(hashes [][]byte) []tlog.Hash {
	all := make([]tlog.Hash, 0, len(hashes))
	for _, one := range hashes {
		all = append(all, tlog.Hash(one))
	}
	return all
}
