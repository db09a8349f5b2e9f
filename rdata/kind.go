package rdata

import "strconv"

// Kind is R's own type code (SEXPTYPE) of an object.
type Kind uint8

// The kinds that occur in a stream.
const (
	KindNull            Kind = 0
	KindSymbol          Kind = 1
	KindPairlist        Kind = 2
	KindClosure         Kind = 3
	KindEnvironment     Kind = 4
	KindPromise         Kind = 5
	KindLanguage        Kind = 6
	KindSpecial         Kind = 7
	KindBuiltin         Kind = 8
	KindChar            Kind = 9 // a single string, the element of a character vector
	KindLogical         Kind = 10
	KindInteger         Kind = 13
	KindDouble          Kind = 14
	KindComplex         Kind = 15
	KindCharacter       Kind = 16
	KindDots            Kind = 17
	KindAny             Kind = 18
	KindList            Kind = 19
	KindExpression      Kind = 20
	KindBytecode        Kind = 21
	KindExternalPointer Kind = 22
	KindWeakReference   Kind = 23
	KindRaw             Kind = 24
	KindS4              Kind = 25
)

var kindNames = [...]string{
	KindNull:            "NULL",
	KindSymbol:          "symbol",
	KindPairlist:        "pairlist",
	KindClosure:         "closure",
	KindEnvironment:     "environment",
	KindPromise:         "promise",
	KindLanguage:        "language",
	KindSpecial:         "special",
	KindBuiltin:         "builtin",
	KindChar:            "char",
	KindLogical:         "logical",
	KindInteger:         "integer",
	KindDouble:          "double",
	KindComplex:         "complex",
	KindCharacter:       "character",
	KindDots:            "...",
	KindAny:             "any",
	KindList:            "list",
	KindExpression:      "expression",
	KindBytecode:        "bytecode",
	KindExternalPointer: "externalptr",
	KindWeakReference:   "weakref",
	KindRaw:             "raw",
	KindS4:              "S4",
}

// String is what R's typeof() says.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "type " + strconv.Itoa(int(k))
}

// KindOf is the kind of v; nil counts as NULL.
func KindOf(v Value) Kind {
	switch v := v.(type) {
	case *Logical:
		return KindLogical
	case *Integer:
		return KindInteger
	case *Double:
		return KindDouble
	case *Complex:
		return KindComplex
	case *Character:
		return KindCharacter
	case *Raw:
		return KindRaw
	case *List:
		if v.Expression {
			return KindExpression
		}
		return KindList
	case *Pairlist:
		return KindPairlist
	case *Symbol:
		return KindSymbol
	case *Opaque:
		return v.Kind
	}
	return KindNull
}
