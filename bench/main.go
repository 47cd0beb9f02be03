package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"time"

	"github.com/pgactor/pgactor/bench/result"
)

func main() {
	short := flag.Bool("short", false, "a smoke run: all studies, few rounds")
	only := flag.String("run", "", "only the studies whose name this regular expression finds")
	out := flag.String("o", "bench.json", "the `file` to write")
	show := flag.String("show", "", "measure nothing, and print the tables of such a `file` as Markdown")
	flag.Parse()
	if *show != "" {
		f, err := result.Read(*show)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		markdown(os.Stdout, f)
		return
	}
	pl := whole
	if *short {
		pl = smoke
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, pl, *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run makes the studies, prints them as they end, and writes the file.
func run(ctx context.Context, w io.Writer, pl plan, only, out string) (err error) {
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	l, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if e := l.close(); err == nil {
			err = e
		}
	}()
	f := result.File{Machine: thisMachine(l.version), Plan: result.Plan(pl)}
	fmt.Fprintln(w, f.Machine)
	for _, s := range chosen {
		o, err := pl.study(ctx, l, s)
		if err != nil {
			return err
		}
		tabulate(w, o)
		f.Studies = append(f.Studies, o)
	}
	return f.Write(out)
}

func choose(only string) (chosen []study, err error) {
	expr, err := regexp.Compile(only)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	for _, s := range studies() {
		if expr.MatchString(s.name) {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-run %s: no study of that name", only)
	}
	return chosen, nil
}

// study goes through the settings, and tells how far it is.
func (pl plan) study(ctx context.Context, l *lab, s study) (result.Study, error) {
	o := result.Study{Name: s.name, Title: s.title, Units: s.units}
	began := time.Now()
	for i, set := range s.settings {
		progress("%s %d/%d %v", s.name, i+1, len(s.settings), set)
		contenders, err := pl.measure(ctx, l, set)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return o, fmt.Errorf("%s, %v: %w", s.name, set, err)
		}
		row := result.Row{Params: set.params}
		for _, c := range contenders {
			row.Contenders = append(row.Contenders, c.Contender)
		}
		o.Rows = append(o.Rows, row)
	}
	progress("")
	fmt.Fprintf(os.Stderr, "%s: %v\n", s.name, time.Since(began).Round(time.Second/10))
	return o, nil
}

// progress writes over the last line of a terminal, and nothing elsewhere.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r\033[K"+format, args...)
	}
}
