//go:build !unix

package pooltest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStartIsUnsupported(t *testing.T) {
	_, err := Start(t.Context(), AllowInstall())
	assert.ErrorIs(t, err, ErrUnsupported)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
	assert.ErrorContains(t, err, "DATABASE_URL")
}
