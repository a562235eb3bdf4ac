package main

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

//go:embed schema.json
var schemaJSON []byte

// The form of schema.json.

type document struct {
	Resources, Data map[string]block
}

type block struct {
	Attributes map[string]attribute
	BlockTypes map[string]nested `json:"block_types"`
}

type attribute struct {
	Type                         kind
	Required, Optional, Computed bool
}

type nested struct {
	NestingMode string `json:"nesting_mode"`
	Required    bool
	IsBlock     bool
	Block       block
}

// kind is a type as the file writes it: "string", or ["list", "string"].
type kind struct{ tftypes.Type }

// UnmarshalJSON implements json.Unmarshaler.
func (k *kind) UnmarshalJSON(text []byte) error {
	var name string
	if err := json.Unmarshal(text, &name); err == nil {
		switch name {
		case "string":
			k.Type = tftypes.String
		case "number":
			k.Type = tftypes.Number
		case "bool":
			k.Type = tftypes.Bool
		default:
			return fmt.Errorf("type %q is not known", name)
		}
		return nil
	}
	var parts []json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil || len(parts) != 2 {
		return fmt.Errorf("type %s: neither a name nor a pair", text)
	}
	var of kind
	if err := json.Unmarshal(parts[1], &of); err != nil {
		return err
	}
	var err error
	k.Type, err = collection(string(parts[0]), of.Type)
	return err
}

func collection(name string, of tftypes.Type) (tftypes.Type, error) {
	switch name {
	case `"list"`:
		return tftypes.List{ElementType: of}, nil
	case `"set"`:
		return tftypes.Set{ElementType: of}, nil
	case `"map"`:
		return tftypes.Map{ElementType: of}, nil
	}
	return nil, fmt.Errorf("collection %s is not known", name)
}

// load turns the file into what Terraform asks for.
func load() (*tfprotov6.GetProviderSchemaResponse, error) {
	var d document
	if err := json.Unmarshal(schemaJSON, &d); err != nil {
		return nil, err
	}
	out := &tfprotov6.GetProviderSchemaResponse{
		Provider: &tfprotov6.Schema{Block: &tfprotov6.SchemaBlock{
			Attributes: []*tfprotov6.SchemaAttribute{{Name: "region", Type: tftypes.String, Optional: true}},
		}},
		ResourceSchemas:   map[string]*tfprotov6.Schema{},
		DataSourceSchemas: map[string]*tfprotov6.Schema{},
	}
	for name, b := range d.Resources {
		out.ResourceSchemas[name] = &tfprotov6.Schema{Block: b.schema()}
	}
	for name, b := range d.Data {
		out.DataSourceSchemas[name] = &tfprotov6.Schema{Block: b.schema()}
	}
	return out, nil
}

func (b block) schema() *tfprotov6.SchemaBlock {
	s := &tfprotov6.SchemaBlock{}
	for name, a := range b.Attributes {
		s.Attributes = append(s.Attributes, &tfprotov6.SchemaAttribute{
			Name: name, Type: a.Type.Type, Required: a.Required, Optional: a.Optional,
			Computed: a.Computed || (!a.Required && !a.Optional),
		})
	}
	for name, n := range b.BlockTypes {
		if !n.IsBlock { // an attribute that holds objects
			s.Attributes = append(s.Attributes, &tfprotov6.SchemaAttribute{Name: name, Type: n.object(), Optional: true, Computed: true})
			continue
		}
		s.BlockTypes = append(s.BlockTypes, n.schema(name))
	}
	return s
}

func (n nested) schema(name string) *tfprotov6.SchemaNestedBlock {
	s := &tfprotov6.SchemaNestedBlock{TypeName: name, Block: n.Block.schema(), Nesting: tfprotov6.SchemaNestedBlockNestingModeList}
	switch n.NestingMode {
	case "set":
		s.Nesting = tfprotov6.SchemaNestedBlockNestingModeSet
	case "single":
		s.MaxItems = 1
	}
	if n.Required {
		s.MinItems = 1
	}
	return s
}

// object is the type of a nested block's value.
func (n nested) object() tftypes.Type {
	of := tftypes.Object{AttributeTypes: map[string]tftypes.Type{}}
	for name, a := range n.Block.Attributes {
		of.AttributeTypes[name] = a.Type.Type
	}
	for name, inner := range n.Block.BlockTypes {
		of.AttributeTypes[name] = inner.object()
	}
	switch n.NestingMode {
	case "set":
		return tftypes.Set{ElementType: of}
	case "single":
		return of
	}
	return tftypes.List{ElementType: of}
}
