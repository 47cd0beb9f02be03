package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pgactor/pgactor/bench/result"
)

func main() {
	in := flag.String("in", "../result.json", "the `file` that bench has written")
	out := flag.String("out", "../pictures", "the `folder` for the pictures; made if there is none")
	flag.Parse()
	if err := run(os.Stdout, *in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

// run draws all pictures for which there are measurements, and says which.
func run(w io.Writer, in, out string) error {
	read, err := result.Read(in)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	drawn := 0
	for _, p := range pictures {
		s := p.draw(file{read})
		if s == nil {
			fmt.Fprintf(w, "%s: left out, the file has no measurements for it\n", p.name)
			continue
		}
		path := filepath.Join(out, p.name)
		if err := s.write(path); err != nil {
			return err
		}
		fmt.Fprintln(w, path)
		drawn++
	}
	if drawn == 0 {
		return fmt.Errorf("%s: %w", in, errNothing)
	}
	return nil
}

var errNothing = errors.New("nothing to draw: no study that a picture is made of")
