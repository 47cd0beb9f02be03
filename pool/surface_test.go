package pool_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pgactor/pgactor/pool"
	"github.com/stretchr/testify/assert"
)

// TestSurface compares what the two packages export, name by name and type by
// type: ours may have more.
func TestSurface(t *testing.T) {
	for name, pair := range map[string][2]any{
		"New":           {pgxpool.New, pool.New},
		"NewWithConfig": {pgxpool.NewWithConfig, pool.NewWithConfig},
		"ParseConfig":   {pgxpool.ParseConfig, pool.ParseConfig},
	} {
		assert.Equal(t, translated(reflect.TypeOf(pair[0])), reflect.TypeOf(pair[1]).String(), name)
	}
	for _, pair := range []struct{ theirs, ours any }{
		{(*pgxpool.Pool)(nil), (*pool.Pool)(nil)},
		{(*pgxpool.Conn)(nil), (*pool.Conn)(nil)},
		{(*pgxpool.Tx)(nil), (*pool.Tx)(nil)},
		{(*pgxpool.Stat)(nil), (*pool.Stat)(nil)},
		{(*pgxpool.Config)(nil), (*pool.Config)(nil)},
		{(*pgxpool.AcquireTracer)(nil), (*pool.AcquireTracer)(nil)},
		{(*pgxpool.ReleaseTracer)(nil), (*pool.ReleaseTracer)(nil)},
		{(*pgxpool.ShouldPingParams)(nil), (*pool.ShouldPingParams)(nil)},
		{(*pgxpool.TraceAcquireStartData)(nil), (*pool.TraceAcquireStartData)(nil)},
		{(*pgxpool.TraceAcquireEndData)(nil), (*pool.TraceAcquireEndData)(nil)},
		{(*pgxpool.TraceReleaseData)(nil), (*pool.TraceReleaseData)(nil)},
	} {
		theirs, ours := reflect.TypeOf(pair.theirs), reflect.TypeOf(pair.ours)
		t.Run(theirs.Elem().Name(), func(t *testing.T) {
			compareMethods(t, theirs, ours)
			if theirs.Elem().Kind() == reflect.Interface {
				compareMethods(t, theirs.Elem(), ours.Elem())
				return
			}
			for _, theirs := range reflect.VisibleFields(theirs.Elem()) {
				ours, ok := ours.Elem().FieldByName(theirs.Name)
				if theirs.IsExported() && assert.True(t, ok, "no field %s", theirs.Name) {
					assert.Equal(t, translated(theirs.Type), ours.Type.String(), theirs.Name)
				}
			}
		})
	}
}

func compareMethods(t *testing.T, theirs, ours reflect.Type) {
	for i := range theirs.NumMethod() {
		m := theirs.Method(i)
		o, ok := ours.MethodByName(m.Name)
		if assert.True(t, ok, "no method %s", m.Name) {
			assert.Equal(t, translated(m.Type), o.Type.String(), m.Name)
		}
	}
}

func translated(theirs reflect.Type) string {
	return strings.ReplaceAll(theirs.String(), "pgxpool.", "pool.")
}
