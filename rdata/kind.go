package rdata

// Kind is R's own type code (SEXPTYPE) of an object.
type Kind uint8
