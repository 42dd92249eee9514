// Command tlog checks a folder that `domicile ledger export --tiles` wrote, with the Go project's own packages for such logs
// (golang.org/x/mod/sumdb/note and tlog) and those of transparency.dev: nothing of Domicile's code is in it.
package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	flog "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// folder reads tiles of height 8 as C2SP tlog-tiles names them.
type folder string

func (f folder) Height() int { return 8 }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range tiles {
		bytes, err := os.ReadFile(filepath.Join(string(f), strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		read = append(read, bytes)
	}
	return read, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

// entries reads the bundles of a log of this size.
func (f folder) entries(size int64) [][]byte {
	var entries [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := min(256, size-n*256)
		path := strings.Replace(tlog.Tile{H: 8, L: 0, N: n, W: int(width)}.Path(), "tile/8/0/", "tile/entries/", 1)
		bytes := must(os.ReadFile(filepath.Join(string(f), path)))
		for len(bytes) > 0 {
			length := int(binary.BigEndian.Uint16(bytes))
			entries = append(entries, bytes[2:2+length])
			bytes = bytes[2+length:]
		}
	}
	return entries
}

type proofs struct {
	Entry, Size, From, To *uint64
	Hashes                []string
}

func main() {
	vkey := flag.String("vkey", "", "the log's key")
	witness := flag.String("witness", "", "a witness's key, whose cosignature the note must have")
	older := flag.String("older", "", "a checkpoint that the log must continue")
	note_ := flag.String("note", "checkpoint", "the checkpoint's file in the folder")
	proofFile := flag.String("proof", "", "an inclusion or consistency proof of the gateway's, as JSON")
	flag.Parse()
	dir := folder(flag.Arg(0))

	key := must(note.NewVerifier(*vkey))
	open := func(path string) *flog.Checkpoint {
		checkpoint, _, _, err := flog.ParseCheckpoint(must(os.ReadFile(path)), key.Name(), key)
		if err != nil {
			log.Fatal(err)
		}
		return checkpoint
	}
	checkpoint := open(filepath.Join(string(dir), *note_))
	if *witness != "" {
		other := must(fnote.NewVerifierForCosignatureV1(*witness))
		raw := must(os.ReadFile(filepath.Join(string(dir), *note_)))
		opened := must(note.Open(raw, note.VerifierList(key, other)))
		if len(opened.Sigs) != 2 {
			log.Fatal("not cosigned")
		}
	}
	size := int64(checkpoint.Size)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], checkpoint.Hash)

	// Every entry is proven by the tiles, which are held against the signed root.
	hashes := tlog.TileHashReader(tree, dir)
	entries := dir.entries(size)
	if int64(len(entries)) != size {
		log.Fatalf("%d entries instead of %d", len(entries), size)
	}
	for n, entry := range entries {
		included := must(tlog.ProveRecord(size, int64(n), hashes))
		if err := tlog.CheckRecord(included, size, tree.Hash, int64(n), tlog.RecordHash(entry)); err != nil {
			log.Fatalf("entry %d: %v", n, err)
		}
	}
	if *older != "" {
		held := open(*older)
		var root tlog.Hash
		copy(root[:], held.Hash)
		continues := must(tlog.ProveTree(size, int64(held.Size), hashes))
		if err := tlog.CheckTree(continues, size, tree.Hash, int64(held.Size), root); err != nil {
			log.Fatalf("it does not continue the older checkpoint: %v", err)
		}
	}
	if *proofFile != "" {
		var given proofs
		if err := json.Unmarshal(must(os.ReadFile(*proofFile)), &given); err != nil {
			log.Fatal(err)
		}
		var path [][]byte
		for _, text := range given.Hashes {
			path = append(path, must(hex.DecodeString(text)))
		}
		root := func(size uint64) []byte {
			hash := must(tlog.TreeHash(int64(size), hashes))
			return hash[:]
		}
		var err error
		if given.Entry != nil {
			leaf := rfc6962.DefaultHasher.HashLeaf(entries[*given.Entry])
			err = proof.VerifyInclusion(rfc6962.DefaultHasher, *given.Entry, *given.Size, leaf, path, root(*given.Size))
		} else {
			err = proof.VerifyConsistency(rfc6962.DefaultHasher, *given.From, *given.To, path, root(*given.From), root(*given.To))
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(size)
}
