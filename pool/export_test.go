package pool

import "github.com/pgactor/pgactor/actor"

// StatOf tells tests how things stand at the desk.
func StatOf(p *Pool) actor.Stat { return p.desk.Stat() }

// Inside is the pool that a Simple pool is made of.
func Inside(s *Simple) *Pool { return s.pool }
