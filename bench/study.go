package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/pgactor/pgactor/bench/result"
	"github.com/pgactor/pgactor/pool/pooltest"
)

// A study measures one thing in several settings.
type study struct {
	name     string   // on the command line, and of the Go benchmark
	title    string   // above the table
	units    []string // what is shown, the most important first
	settings []setting
}

// A setting is one row of a study: what is measured, under which conditions, of whom.
type setting struct {
	params  []result.Param
	peers   []peer
	measure func(ctx context.Context, l *lab, p peer) (turn, error)
	least   int // operations in a turn
	most    int // if not 0: one operation in a turn, and so many rounds at most
	erratic int // if not 0: so many times the rounds, since turns differ much
}

// named makes parameters of names and values, in turns.
func named(all ...string) (params []result.Param) {
	for pair := range slices.Chunk(all, 2) {
		params = append(params, result.Param{Name: pair[0], Value: pair[1]})
	}
	return params
}

func (s setting) String() string {
	parts := make([]string, len(s.params))
	for i, p := range s.params {
		parts[i] = p.Name + "=" + p.Value
	}
	return strings.Join(parts, "/")
}

// A turn does n operations, and says what they took.
type turn func(n int) (sample, error)

// connections is the limit of pools that say no other.
const connections = 8

// A lab is where studies are made: the server, and the pools, which stay open for all
// studies.
type lab struct {
	server  *pooltest.Server
	version string // of the server
	slow    *pooltest.Proxy
	rigs    map[string]*rig
}

func newLab(ctx context.Context) (*lab, error) {
	server, err := pooltest.Start(ctx, pooltest.AllowInstall(), pooltest.WithSetting("max_connections", "300"))
	if err != nil {
		return nil, err
	}
	l := &lab{server: server, rigs: map[string]*rig{}}
	if err := l.prepare(ctx); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) prepare(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, l.server.ConnString())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	l.version = conn.PgConn().ParameterStatus("server_version")
	if _, err := conn.Exec(ctx, makeTable); err != nil {
		return err
	}
	l.slow, err = pooltest.NewProxy(l.server.ConnString())
	if err == nil {
		l.slow.Delay(pooltest.ToClient, proxyDelay)
	}
	return err
}

func (l *lab) close() error {
	for _, r := range l.rigs {
		r.close()
	}
	if l.slow != nil {
		l.slow.Close()
	}
	return l.server.Close()
}

// rig is a peer's pool with all connections open, as others have left it.
func (l *lab) rig(ctx context.Context, p peer, c conditions) (*rig, error) {
	key := fmt.Sprint(p.name, c)
	if r := l.rigs[key]; r != nil {
		return r, nil
	}
	r, err := p.open(ctx, c)
	if err != nil {
		return nil, err
	}
	l.rigs[key] = r
	return r, r.fill(ctx, c.limit)
}

func (l *lab) fast() conditions {
	return conditions{connString: l.server.ConnString(), limit: connections}
}
func (l *lab) far() conditions {
	return conditions{connString: l.slow.ConnString(), limit: connections}
}

// studies are all there are, in the order of the report. Where pgxpool is measured, it is
// measured twice.
func studies() []study {
	all := []study{getPut(), keys(), tracking(), waits(), cancels(), bursts(), queries(), proxied(), work(), footprint(), limits(), crowds()}
	for _, s := range all {
		for i := range s.settings {
			peers := s.settings[i].peers
			if slices.ContainsFunc(peers, func(p peer) bool { return p.name == rivalPgxpool.name }) {
				s.settings[i].peers = append(slices.Clone(peers), again)
			}
		}
	}
	return all
}
