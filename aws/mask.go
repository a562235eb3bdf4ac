package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"culvert/internal/pattern"
	"culvert/internal/say"
)

// masked replaces a value that is, or may be, a secret.
const masked = "…"

// The largest task definition that is shown. ECS takes one of 64 kB, which nests a dozen levels deep.
const (
	maxDefinition      = 512 << 10
	maxDefinitionDepth = 32
)

// maskDefinition takes the task definition out of ECS's answer and writes it indented, with its keys in the order of the
// answer. Values of environment variables, references to secrets, and what looks like a secret in commands, options, labels and
// URLs are masked: those who look at a screen need not be allowed to see them, even if the caller may read the definition. It
// masks too much rather than too little. The text is empty when the definition is too large.
func maskDefinition(answer []byte) (string, error) {
	if len(answer) > maxDefinition {
		return "", nil
	}
	var out struct {
		TaskDefinition json.RawMessage `json:"taskDefinition"`
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return "", fmt.Errorf("read the task definition: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(out.TaskDefinition))
	d.UseNumber()
	var m masker
	if err := m.value(d, nil, nil); err != nil {
		return "", fmt.Errorf("read the task definition: %w", err)
	}
	text, err := say.JSON(json.RawMessage(m.text.Bytes()), "  ")
	return strings.TrimSuffix(text, "\n"), err
}

// masker writes JSON with its secrets masked.
type masker struct {
	text  bytes.Buffer
	depth int
}

// value writes the next value. path are the keys that lead to it. list are the words before it in the list that it is in, nil
// when it is in no list.
func (m *masker) value(d *json.Decoder, path []string, list *[]string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	text, isText := token.(string)
	switch {
	case token == json.Delim('{'), token == json.Delim('['):
		return m.within(d, token == json.Delim('{'), path)
	case !isText:
		return m.scalar(token)
	case list == nil:
		return m.scalar(maskText(text, path))
	}
	err = m.scalar(maskWord(text, *list, isCommand(path)))
	*list = append(*list, text)
	return err
}

func (m *masker) scalar(v any) error {
	text, err := json.Marshal(v)
	m.text.Write(text)
	return err
}

// within writes an object or a list whose opening bracket has been read.
func (m *masker) within(d *json.Decoder, object bool, path []string) error {
	if m.depth++; m.depth > maxDefinitionDepth {
		return errors.New("it is nested too deep")
	}
	brackets, words := "[]", &[]string{}
	if object {
		brackets, words = "{}", nil
	}
	m.text.WriteByte(brackets[0])
	for first := true; d.More(); first = false {
		if !first {
			m.text.WriteByte(',')
		}
		to := path
		if object {
			token, err := d.Token()
			if err != nil {
				return err
			}
			key, _ := token.(string) // keys are always strings
			if err := m.scalar(key); err != nil {
				return err
			}
			m.text.WriteByte(':')
			to = append(slices.Clip(path), key)
		}
		if err := m.value(d, to, words); err != nil {
			return err
		}
	}
	m.text.WriteByte(brackets[1])
	m.depth--
	_, err := d.Token()
	return err
}

// isCommand reports whether a list holds the words of a command.
func isCommand(path []string) bool {
	return len(path) > 0 && (path[len(path)-1] == "command" || path[len(path)-1] == "entryPoint")
}

// maskText masks the value of a key.
func maskText(text string, path []string) string {
	key, of := "", ""
	if n := len(path); n > 0 {
		key = path[n-1]
		if n > 1 {
			of = path[n-2]
		}
	}
	switch {
	case text == "":
		return ""
	case key == "value" && of != "environmentFiles": // it belongs to a name: of a variable, a property, a tag
		return masked
	case key == "valueFrom", secretName(key):
		return masked
	}
	return maskWord(text, nil, false)
}

// secretName reports whether a name sounds like that of a secret.
func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"pass", "secret", "token", "credential", "auth", "pwd", "signature", "bearer", "jwt", "dsn", "private"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == '.' })
	last := ""
	if len(parts) > 0 {
		last = parts[len(parts)-1]
	}
	return strings.HasSuffix(last, "key") || slices.Contains([]string{"keys", "sig", "pat", "psk", "pin"}, last)
}

// The forms of secrets in text.
//
//nolint:gochecknoglobals // compiled when they are needed
var (
	userInURL   = pattern.Of(`([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s"']+@`)
	flagInText  = pattern.Of(`(^|\s)(--?[A-Za-z][\w.-]*)(\s+)("[^"]*"|'[^']*'|[^\s"']+)`)
	schemeWord  = pattern.Of(`(?i)\b(bearer|basic|digest|negotiate)(\s+)[^\s"']+`)
	tokenForm   = pattern.Of(`\b((AKIA|ASIA)[A-Z0-9]{16}|gh[a-z]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|[sr]k_(live|test)_\w{10,}|sk-[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]+\.?[\w-]*)`)
	privateKey  = pattern.Of(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*`)
	toolWithKey = pattern.Of(`((?:^|[\s/;&|(])(?:mysql\w*|mariadb\S*|sshpass|redis-cli)\s(?:[^|;&]*\s)?-[pa]\s?)("[^"]*"|'[^']*'|[^\s"']+)`)
	namesUser   = pattern.Of(`^([^\s:]+:)\S+$`)
	variable    = pattern.Of(`^[A-Z_][A-Z0-9_]*$`)
)

// maskWord masks what looks like a secret in a word, or in a line for a shell. before are the words before it in the list.
func maskWord(text string, before []string, command bool) string {
	if len(before) > 0 {
		last := before[len(before)-1]
		switch flag := strings.HasPrefix(last, "-") && !strings.Contains(last, "="); {
		case flag && secretName(last) && !strings.HasPrefix(text, "--"):
			return masked
		case (last == "-p" || last == "-a") && slices.ContainsFunc(before, takesKey):
			return masked
		case last == "-u" || last == "--user":
			text = namesUser().ReplaceAllString(text, "${1}"+masked)
		}
		if strings.HasPrefix(text, "-p") && len(text) > 2 && slices.ContainsFunc(before, takesKey) {
			return "-p" + masked
		}
	}
	text = privateKey().ReplaceAllString(text, masked)
	text = userInURL().ReplaceAllString(text, "${1}"+masked+"@")
	text = schemeWord().ReplaceAllString(text, "${1}${2}"+masked)
	text = tokenForm().ReplaceAllString(text, masked)
	text = toolWithKey().ReplaceAllString(text, "${1}"+masked)
	text = maskPairs(text, command)
	return flagInText().ReplaceAllStringFunc(text, func(pair string) string {
		parts := flagInText().FindStringSubmatch(pair)
		if secretName(parts[2]) && !strings.HasPrefix(parts[4], "--") {
			return parts[1] + parts[2] + parts[3] + masked
		}
		return pair
	})
}

// maskPairs masks the values of NAME=value and name: value whose names sound like secrets; in a command the values of all
// variables.
func maskPairs(text string, command bool) string {
	var b strings.Builder
	from := 0
	for i := 0; i < len(text); i++ {
		if text[i] != '=' && text[i] != ':' {
			continue
		}
		name := strings.TrimRight(text[from:i], " \"'")
		if start := strings.LastIndexFunc(name, func(r rune) bool { return !isNameRune(r) }); start >= 0 {
			name = name[start+1:]
		}
		value := i + 1 + len(text[i+1:]) - len(strings.TrimLeft(text[i+1:], " \t"))
		switch {
		case !secretName(name) && (!command || text[i] != '=' || !variable().MatchString(name)),
			text[i] == ':' && strings.HasPrefix(text[value:], "//"): // a URL
			continue
		}
		ends := " \t\n\r&;|,\"'"
		if value < len(text) && (text[value] == '"' || text[value] == '\'') {
			ends = text[value : value+1]
			value++
		}
		end := len(text)
		if n := strings.IndexAny(text[value:], ends); n >= 0 {
			end = value + n
		}
		if end > value {
			b.WriteString(text[from:value] + masked)
			from, i = end, end-1
		}
	}
	return b.String() + text[from:]
}

func isNameRune(r rune) bool {
	return r == '_' || r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// takesKey reports whether a program takes a password as -p or -a.
func takesKey(word string) bool {
	name := word[strings.LastIndexByte(word, '/')+1:]
	return strings.HasPrefix(name, "mysql") || strings.HasPrefix(name, "mariadb") || name == "sshpass" || name == "redis-cli"
}
