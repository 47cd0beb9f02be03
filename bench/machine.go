package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/pgactor/pgactor/bench/result"
)

// thisMachine is where this runs.
func thisMachine(postgres string) result.Machine {
	m := result.Machine{
		CPU:      cpu(),
		Cores:    runtime.GOMAXPROCS(0),
		OS:       runtime.GOOS + "/" + runtime.GOARCH,
		Go:       runtime.Version(),
		Postgres: postgres,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/jackc/pgx/v5" {
				m.Pgx = dep.Version
			}
		}
	}
	return m
}

// cpu is the processor's name where Linux tells it.
func cpu() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
