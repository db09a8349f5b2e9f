package frame

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// SchemaBytes encodes a schema, metadata included, as an Arrow IPC stream
// without batches.
func SchemaBytes(s *Schema) ([]byte, error) {
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(s))
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode a schema: %w", err)
	}
	return b.Bytes(), nil
}

// SchemaFrom decodes what SchemaBytes has encoded.
func SchemaFrom(data []byte) (*Schema, error) {
	r, err := ipc.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decode a schema: %w", err)
	}
	defer r.Release()
	s := r.Schema()
	meta := s.Metadata()
	return arrow.NewSchema(s.Fields(), &meta), nil
}
