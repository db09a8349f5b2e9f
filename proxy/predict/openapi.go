package predict

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// Spec is the endpoint as a path item of an OpenAPI 3 document, to be put under
// its path: maps, slices and plain values that encoding/json writes.
func (p *Predictor) Spec() map[string]any {
	row := object(p.input(), p.reader.fields())
	result := object(p.outputs(), fieldsOf(p.scorer.columns()))
	rows := map[string]any{"type": "array", "items": row, "maxItems": p.o.Endpoint.MaxRows}
	failed := map[string]any{
		"type": "object", "required": []string{"error"},
		"properties": map[string]any{"error": map[string]any{
			"type": "object",
			"properties": map[string]any{
				"index":   map[string]any{"type": "integer", "description": "Place of the row in the request, from 0."},
				"reason":  map[string]any{"type": "string"},
				"message": map[string]any{"type": "string"},
				"columns": map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}},
			},
		}},
	}
	results := map[string]any{"type": "array", "items": map[string]any{"oneOf": []any{result, failed}}}
	body := map[string]any{"schema": rows}
	if example := p.example(); example != nil {
		body["example"] = []any{example}
	}
	in, out := map[string]any{}, map[string]any{}
	for _, m := range allMedia {
		in[string(m)], out[string(m)] = map[string]any{}, map[string]any{}
	}
	in[string(mediaJSON)] = body
	out[string(mediaJSON)] = map[string]any{"schema": results}
	fault := func(text string) map[string]any { return map[string]any{"description": text} }
	return map[string]any{"post": map[string]any{
		"summary":     "Results for rows",
		"description": "One result for each row, in their order.",
		"requestBody": map[string]any{"required": true, "content": in},
		"responses": map[string]any{
			"200": map[string]any{"description": "Results; a row that failed has an error in its place.", "content": out},
			"400": fault("The body cannot be read."),
			"413": fault("Too many rows or bytes."),
			"415": fault("Rows do not come in this form."),
			"422": fault("No row is as it should be."),
			"500": fault("R failed for all rows."),
			"503": fault("Too many requests wait; Retry-After says when to try again."),
			"504": fault("R took too long."),
		},
	}}
}

// fields are the columns of rows; nil without a schema.
func (r *reader) fields() []arrow.Field {
	if r.schema == nil {
		return nil
	}
	return r.schema.Fields()
}

func fieldsOf(s *frame.Schema) []arrow.Field {
	if s == nil {
		return nil
	}
	return s.Fields()
}

// object is the JSON schema of a row.
func object(columns []columnInfo, types []arrow.Field) map[string]any {
	properties := map[string]any{}
	var required []string
	for i, c := range columns {
		t := jsonType(types[i])
		if c.Nullable {
			t["nullable"] = true
		}
		if len(c.Enum) > 0 {
			t["enum"] = c.Enum
		}
		if c.Min != nil {
			t["minimum"] = *c.Min
		}
		if c.Max != nil {
			t["maximum"] = *c.Max
		}
		properties[c.Name] = t
		if c.Required {
			required = append(required, c.Name)
		}
	}
	out := map[string]any{"type": "object"}
	if len(properties) > 0 {
		out["properties"] = properties
	}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func jsonType(f arrow.Field) map[string]any {
	switch frame.KindOf(f) {
	case frame.KindBool:
		return map[string]any{"type": "boolean"}
	case frame.KindInt32:
		return map[string]any{"type": "integer", "format": "int32"}
	case frame.KindInt64:
		return map[string]any{"type": "integer", "format": "int64"}
	case frame.KindDouble, frame.KindDifftime:
		return map[string]any{"type": "number", "format": "double"}
	case frame.KindDate:
		return map[string]any{"type": "string", "format": "date"}
	case frame.KindTimestamp, frame.KindDatetime:
		return map[string]any{"type": "string", "format": "date-time"}
	case frame.KindBinary:
		return map[string]any{"type": "string", "format": "byte"}
	case frame.KindJSON:
		return map[string]any{}
	case frame.KindList:
		return map[string]any{"type": "array", "items": jsonType(f.Type.(*arrow.ListType).ElemField())}
	}
	return map[string]any{"type": "string"}
}
