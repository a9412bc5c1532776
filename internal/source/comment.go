package source

// Comment is a comment of a file.
type Comment struct {
	// Text is what it says, without the marks that begin and end it and
	// without the blanks around that.
	Text     string
	Position Position // of its mark
	EndLine  int      // the last line that it stands on
	// Alone says that nothing else stands on its lines.
	Alone bool
}
