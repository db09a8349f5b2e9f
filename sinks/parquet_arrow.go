package sinks

import (
	"bytes"
	"encoding/base64"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/rpipe-dev/rpipe/frame"
)

// arrowKey is where Arrow's own libraries keep the Arrow schema of a Parquet
// file: base64 of an IPC stream that holds a schema and no batch. pyarrow and R's
// arrow take dictionaries and time zones from it, which Parquet's types do not say.
const arrowKey = "ARROW:schema"

// arrowSchema is the value under arrowKey. The metadata of fields is left out:
// what rpipe keeps there stands under MetadataKey.
func arrowSchema(s *frame.Schema) (string, error) {
	fields := make([]arrow.Field, s.NumFields())
	for i, f := range s.Fields() {
		fields[i] = arrow.Field{Name: f.Name, Type: f.Type, Nullable: true}
	}
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(arrow.NewSchema(fields, nil)), ipc.WithAllocator(frame.Allocator))
	if err := w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}
