package front

import "errors"

// Rules say what goes through the task, what goes directly from this machine, and what is refused.
type Rules struct {
	via, deny []Pattern // no via: everything goes through
}

// Pattern is one form of --via and --deny: *.internal, .corp.example, 10.0.0.0/8, db?.example:5432.
type Pattern struct{ form string }

// ParsePattern reads a pattern; an error says what is wrong with which part.
func ParsePattern(form string) (Pattern, error) {
	if form == "" {
		return Pattern{}, errors.New("the pattern is empty")
	}
	return Pattern{form: form}, nil
}

// String returns a form that ParsePattern reads back.
func (p Pattern) String() string { return p.form }

// NewRules returns rules of patterns.
func NewRules(via, deny []Pattern) Rules { return Rules{via: via, deny: deny} }
