package frame

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// typeNames are the names that ParseType takes, the first of each row being
// the one that TypeName gives.
var typeNames = [][]string{
	{"bool", "boolean", "logical"},
	{"int32", "int", "integer"},
	{"int64", "bigint", "integer64"},
	{"double", "float64", "float", "numeric", "number"},
	{"string", "utf8", "text", "character"},
	{"factor"},
	{"ordered"},
	{"date"},
	{"timestamp", "datetime"},
	{"binary", "bytes", "raw"},
	{"json"},
	{"difftime"},
	{"hms"},
	{"list"},
}

// difftimeUnits are R's units of a difftime, with their length in seconds.
var difftimeUnits = map[string]float64{"secs": 1, "mins": 60, "hours": 3600, "days": 86400, "weeks": 604800}

// FactorType is the Arrow type of a factor column.
func FactorType(ordered bool) *arrow.DictionaryType {
	return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String, Ordered: ordered}
}

// ParseType reads a type as users write it in YAML and returns a nullable
// field without a name:
//
//	bool int32 int64 double string json date binary   (R's own names are understood too)
//	factor, ordered         strings with levels
//	timestamp               a wall clock time without zone
//	timestamp[Zone]         an instant, shown in a zone: timestamp[UTC], timestamp[Europe/Berlin]
//	difftime[unit], hms     a span of time; unit is secs (default), mins, hours, days or weeks
//	list<T>                 T is any of the above but factor, json and binary
//
// The error names what is wrong and the nearest type there is.
func ParseType(s string) (arrow.Field, error) {
	name, arg, err := splitType(s)
	if err != nil {
		return arrow.Field{}, err
	}
	f := arrow.Field{Nullable: true}
	base := canonicalType(name)
	if arg != "" && base != "timestamp" && base != "difftime" && base != "list" && base != "" {
		return f, fmt.Errorf("type %q: %s takes nothing in brackets", s, name)
	}
	switch base {
	case "bool":
		f.Type = arrow.FixedWidthTypes.Boolean
	case "int32":
		f.Type = arrow.PrimitiveTypes.Int32
	case "int64":
		f.Type = arrow.PrimitiveTypes.Int64
	case "double":
		f.Type = arrow.PrimitiveTypes.Float64
	case "string":
		f.Type = arrow.BinaryTypes.String
	case "json":
		f.Type = arrow.BinaryTypes.String
		f.Metadata = arrow.MetadataFrom(map[string]string{MetaJSON: "1"})
	case "factor":
		f.Type = FactorType(false)
	case "ordered":
		f.Type = FactorType(true)
	case "date":
		f.Type = arrow.FixedWidthTypes.Date32
	case "timestamp":
		f.Type = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: arg}
		if arg != "" {
			if _, err := loadZone(arg); err != nil {
				return f, fmt.Errorf("type %q: %q is not a time zone (use one such as UTC or Europe/Berlin)", s, arg)
			}
		}
	case "binary":
		f.Type = arrow.BinaryTypes.Binary
	case "difftime":
		if arg == "" {
			arg = "secs"
		}
		if difftimeUnits[arg] == 0 {
			return f, fmt.Errorf("type %q: the unit of a difftime is secs, mins, hours, days or weeks", s)
		}
		f = difftimeField("difftime", arg)
	case "hms":
		f = difftimeField("hms", "secs")
	case "list":
		if arg == "" {
			return f, fmt.Errorf("type %q: write what it is a list of, such as list<double>", s)
		}
		elem, err := ParseType(arg)
		if err != nil {
			return f, err
		}
		f.Type = ListType(elem)
		if KindOf(f) != KindList {
			return f, fmt.Errorf("type %q: a list cannot hold %s", s, TypeName(elem))
		}
	default:
		return f, fmt.Errorf("unknown type %q%s", s, didYouMean(name, allTypeNames()))
	}
	return f, nil
}

// ListType is list<elem>.
func ListType(elem arrow.Field) *arrow.ListType {
	elem.Name, elem.Nullable = "item", true
	return arrow.ListOfField(elem)
}

func difftimeField(class, unit string) arrow.Field {
	return arrow.Field{Type: arrow.PrimitiveTypes.Float64, Nullable: true,
		Metadata: arrow.MetadataFrom(map[string]string{MetaR: class, MetaUnits: unit})}
}

// splitType takes a name[arg] or name<arg> apart.
func splitType(s string) (name, arg string, err error) {
	s = strings.TrimSpace(s)
	i := strings.IndexAny(s, "[<")
	if i < 0 {
		return s, "", nil
	}
	closing := map[byte]string{'[': "]", '<': ">"}[s[i]]
	if !strings.HasSuffix(s, closing) {
		return "", "", fmt.Errorf("type %q: missing %q at its end", s, closing)
	}
	arg = strings.TrimSpace(s[i+1 : len(s)-1])
	if arg == "" {
		return "", "", fmt.Errorf("type %q: nothing between the brackets", s)
	}
	return strings.TrimSpace(s[:i]), arg, nil
}

func canonicalType(name string) string {
	name = strings.ToLower(name)
	for _, row := range typeNames {
		for _, n := range row {
			if n == name {
				return row[0]
			}
		}
	}
	return ""
}

func allTypeNames() (names []string) {
	for _, row := range typeNames {
		names = append(names, row...)
	}
	return names
}

// TypeName is the inverse of ParseType. Types that frames do not have are
// given in Arrow's notation.
func TypeName(f arrow.Field) string {
	switch KindOf(f) {
	case KindBool:
		return "bool"
	case KindInt32:
		return "int32"
	case KindInt64:
		return "int64"
	case KindDouble:
		return "double"
	case KindString:
		return "string"
	case KindJSON:
		return "json"
	case KindFactor:
		if f.Type.(*arrow.DictionaryType).Ordered {
			return "ordered"
		}
		return "factor"
	case KindDate:
		return "date"
	case KindTimestamp:
		return "timestamp[" + f.Type.(*arrow.TimestampType).TimeZone + "]"
	case KindDatetime:
		return "timestamp"
	case KindDifftime:
		if meta(f, MetaR) == "hms" {
			return "hms"
		}
		return "difftime[" + meta(f, MetaUnits) + "]"
	case KindBinary:
		return "binary"
	case KindList:
		return "list<" + TypeName(f.Type.(*arrow.ListType).ElemField()) + ">"
	}
	if f.Type == nil {
		return "nothing"
	}
	return f.Type.String()
}

// FormatSchema prints a schema for people: one "name type" a line, the types
// aligned, names with spaces in quotes. A type that is not known yet (R gave
// nothing but NA) is shown as "unknown (all NA)".
func FormatSchema(s *Schema) string {
	names := make([]string, s.NumFields())
	width := 0
	for i := range names {
		names[i] = s.Field(i).Name
		if names[i] == "" || strings.ContainsAny(names[i], " \t\n\r\"") {
			names[i] = strconv.Quote(names[i])
		}
		width = max(width, len([]rune(names[i])))
	}
	var b strings.Builder
	for i, n := range names {
		f := s.Field(i)
		t := TypeName(f)
		if isUnknown(f) {
			t = "unknown (all NA)"
		}
		fmt.Fprintf(&b, "%s%s %s\n", n, strings.Repeat(" ", width-len([]rune(n))), t)
	}
	return b.String()
}
