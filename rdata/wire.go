package rdata

import "encoding/binary"

// An item begins with a 32-bit word: a type code in the low byte, three flags,
// and above them the "levels", sixteen bits whose meaning depends on the type.
const (
	flagObject = 1 << 8 // has a class attribute, or is S4
	flagAttrs  = 1 << 9 // attributes follow
	flagTag    = 1 << 10

	levelShift = 12
)

// Levels of a string say its encoding; no bit means "native".
const (
	levelBytes  = 1 << 1
	levelLatin1 = 1 << 2
	levelUTF8   = 1 << 3
	levelASCII  = 1 << 6

	levelS4 = 1 << 4 // on anything but a string: isVirtualClass, slots are attributes
)

const (
	charASCII = uint32(KindChar) | levelASCII<<levelShift
	charUTF8  = uint32(KindChar) | levelUTF8<<levelShift
	charNA    = uint32(KindChar)
)

// Codes that stand where a Kind stands, for what is not an ordinary object.
const (
	codeReference     = 255
	codeNil           = 254
	codeGlobalEnv     = 253
	codeUnboundValue  = 252
	codeMissingArg    = 251
	codeBaseNamespace = 250
	codeNamespace     = 249
	codePackage       = 248
	codePersistent    = 247
	codeClassRef      = 246
	codeGenericRef    = 245
	codeBytecodeDef   = 244
	codeBytecodeRef   = 243
	codeEmptyEnv      = 242
	codeBaseEnv       = 241
	codeAttrLanguage  = 240
	codeAttrPairlist  = 239
	codeAltrep        = 238
)

// maxPackedRef is the largest reference that fits beside its type code.
const maxPackedRef = 1<<23 - 1

// hostLittle says that this machine keeps numbers as a native stream does, so
// that payloads are copied as they are.
var hostLittle = binary.NativeEndian.Uint16([]byte{1, 0}) == 1
