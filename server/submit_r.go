package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/rvalue"
)

// maxFields is how many fields a submission may have, or arguments a call.
const maxFields = 1 << 16

// readR reads a submission that R has serialized: a named list with the fields of the
// document. What is R's own (fun, expr, args, over) stays as R wrote it, undecoded; the
// rest is turned into the JSON that it would have been, so that there is one set of rules.
func (s *Server) readR(r *http.Request, into *api.Submission) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if body, err = rvalue.Within(body, int64(s.limits.Load().Body)); err != nil {
		return tooLong(err, "")
	}
	fields, names, err := rvalue.Split(body, maxFields)
	if err != nil {
		return invalidField("", "the body is not what serialize() makes of a list: "+err.Error())
	}
	if len(names) != len(fields) {
		return invalidField("", "the list must have a name for each field")
	}
	plain := map[string]json.RawMessage{}
	for i, name := range names {
		stream := fields[i]
		switch name {
		case "fun", "expr":
			v, err := code(stream)
			if err != nil {
				return invalidField(name, err.Error())
			}
			if name == "fun" {
				into.Fun = v
			} else {
				into.Expr = v
			}
		case "over":
			v := rvalueOf(stream)
			into.Over = &v
		case "args":
			if into.Args, err = args(stream); err != nil {
				return invalidField(name, err.Error())
			}
		case "":
			return invalidField("", fmt.Sprintf("field %d of the list has no name", i+1))
		default:
			if plain[name] != nil {
				return invalidField(name, "stands twice")
			}
			text, err := rvalue.ToJSON(stream, nil)
			if err != nil {
				return invalidField(name, err.Error())
			}
			if !bytes.Equal(text, []byte("null")) && !bytes.Equal(text, []byte("[]")) {
				plain[name] = text
			}
		}
	}
	document, err := json.Marshal(plain)
	if err != nil {
		return err
	}
	return decodeJSON(document, s.limits.Load().Depth, into)
}

// tooLong is what is said of a value that is too long without its compression, or broken.
func tooLong(err error, field string) error {
	var large *rvalue.LargeError
	if errors.As(err, &large) {
		return &api.Fault{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Field: field, Message: err.Error() + ": limits.body of rpipe.yaml holds for what is in a compressed submission; larger arguments are put as values before"}
	}
	return invalidField(field, err.Error())
}

// code is a function or expression: text where it is a string, else as R wrote it.
func code(stream []byte) (*api.Value, error) {
	if v, err := rdata.Unmarshal(stream, &rdata.Limits{MaxBytes: 1 << 20}); err == nil {
		if _, ok := v.(*rdata.Character); ok {
			text, err := rvalue.ToJSON(stream, nil)
			if err != nil {
				return nil, err
			}
			return &api.Value{JSON: text}, nil
		}
	}
	v := rvalueOf(stream)
	return &v, nil
}

// args are arguments: the elements of a list, by name where they have one.
func args(stream []byte) (api.Args, error) {
	elements, names, err := rvalue.Split(stream, maxFields)
	if err != nil {
		return nil, err
	}
	var all api.Args
	for i, e := range elements {
		a := api.Arg{Value: rvalueOf(e)}
		if names != nil {
			a.Name = names[i]
		}
		all = append(all, a)
	}
	return all, nil
}

// rvalueOf is a value as R wrote it; of list(`$task` = id) and list(`$ref` = reference)
// what those stand for.
func rvalueOf(stream []byte) api.Value {
	if len(stream) < 1024 {
		if parts, names, err := rvalue.Split(stream, 1); err == nil && len(parts) == 1 && len(names) == 1 {
			if text, err := rvalue.ToJSON(parts[0], nil); err == nil && (names[0] == "$task" || names[0] == "$ref") {
				var id string
				if json.Unmarshal(text, &id) == nil && id != "" {
					if names[0] == "$ref" {
						return api.Value{Ref: id}
					}
					return api.Value{Task: id}
				}
			}
		}
	}
	return api.Value{R: stream}
}
