package stages

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
)

// FetchResponse says which columns come of an answer.
//
// The types of columns that declare none are inferred from the first infer_rows
// answers, as those of an NDJSON file are: bool, int64, double, string or json,
// the first that holds them all. They then stay, in a run that is resumed too; an
// answer that does not fit is an error of its row.
type FetchResponse struct {
	Format  string                    `yaml:"format" default:"json" enum:"json|text|none" doc:"json: the answer is JSON, checked strictly. text: it is one column, named by body. none: no column comes of it."`
	Columns map[string]ResponseColumn `yaml:"columns" doc:"Columns by name, each the path of its value in the answer, or {path, type}. Without it each key of the answer is a column, of those that the first answers have." example:"{price: data.price, day: {path: date, type: date}}"`
	Prefix  string                    `yaml:"prefix" doc:"Put before the names of columns that are keys of the answer." example:"user_"`
	Each    string                    `yaml:"each" doc:"Path of an array, or . for the answer itself: each of its elements makes a row, with the row's columns repeated, and the paths in columns start at it. An empty array or null makes none; where none of the first infer_rows answers has the path, the run ends." example:"data.items"`
	Body    string                    `yaml:"body" doc:"Name of a column for the whole answer as text. With format: text it is body where this is not given."`
	Status  string                    `yaml:"status" doc:"Name of a column for the status." example:"status"`
	Headers configs.Pairs             `yaml:"headers" doc:"Columns of headers, column to header." example:"{etag: ETag}"`
}

// ResponseColumn is one column of an answer.
type ResponseColumn struct {
	Path string           `yaml:"path" doc:"Where its value is: keys joined by dots, elements of arrays by their number from 0, such as data.items[0].price; . is the whole answer. A key with a dot stands in brackets and quotes: rates[\"EUR.USD\"]. Without it the name of the column is the key."`
	Type string           `yaml:"type" doc:"Its type, as in returns of a map. Without it the first answers decide." example:"double"`
	At   configs.Position `yaml:",position"`
}

// Shorthand lets the path stand for the mapping.
func (ResponseColumn) Shorthand() string { return "path" }

func (c *FetchResponse) check(report func(field, message, hint string)) {
	if len(c.Columns) > 0 && c.Format != "json" {
		report(".columns", "needs format: json", "")
	}
	if len(c.Columns) > 0 && c.Prefix != "" {
		report(".prefix", "is for names that are keys of the answer; columns gives the names itself", "")
	}
	if c.Each != "" {
		if _, err := responsePath(c.Each); err != nil {
			report(".each", err.Error(), "")
		}
	}
	for name, col := range c.Columns {
		if _, err := col.path(name); err != nil {
			report(".columns."+name, err.Error(), "")
		}
		if col.Type == "" {
			continue
		}
		if _, err := frame.ParseType(col.Type); err != nil {
			report(".columns."+name+".type", err.Error(), "")
		}
	}
}

// responsePath reads a path, of which . is the document.
func responsePath(text string) (ndjson.Path, error) {
	if text == "." {
		text = ""
	}
	return ndjson.ParsePath(text)
}

func (c *ResponseColumn) path(name string) (ndjson.Path, error) {
	if c.Path == "" { // the name is one key, whatever characters it has
		return ndjson.Key(name), nil
	}
	return responsePath(c.Path)
}

// responseColumn is a column of an answer, with its path read.
type responseColumn struct {
	name  string
	path  ndjson.Path
	field *arrow.Field // its declared type; nil to infer it
}

// columns are those that are given, in the order of the file.
func (c *FetchResponse) columns() ([]responseColumn, error) {
	names := make([]string, 0, len(c.Columns))
	for name := range c.Columns {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := c.Columns[a].At, c.Columns[b].At
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column), cmp.Compare(a, b))
	})
	out := make([]responseColumn, len(names))
	for i, name := range names {
		col := c.Columns[name]
		path, err := col.path(name)
		if err != nil {
			return nil, fmt.Errorf("response.columns.%s: %w", name, err)
		}
		out[i] = responseColumn{name: name, path: path}
		if col.Type != "" {
			f, err := frame.ParseType(col.Type)
			if err != nil {
				return nil, fmt.Errorf("response.columns.%s.type: %w", name, err)
			}
			f.Name = name
			out[i].field = &f
		}
	}
	return out, nil
}

// beside are the columns of an answer that are not JSON.
func (c *FetchResponse) beside() []arrow.Field {
	var out []arrow.Field
	add := func(name string, t arrow.DataType) {
		if name != "" {
			out = append(out, arrow.Field{Name: name, Type: t, Nullable: true})
		}
	}
	add(c.bodyColumn(), arrow.BinaryTypes.String)
	add(c.Status, arrow.PrimitiveTypes.Int32)
	for _, h := range c.Headers {
		add(h.Name, arrow.BinaryTypes.String)
	}
	return out
}

func (c *FetchResponse) bodyColumn() string {
	if c.Body == "" && c.Format == "text" {
		return "body"
	}
	return c.Body
}
