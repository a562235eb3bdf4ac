package screen

import (
	tea "charm.land/bubbletea/v2"

	"culvert/ui/draw"
)

// picked reports whether a message is a double click on the row under the cursor of a table; the first click has put it
// there, unless rows have moved since.
func picked[T any](t *draw.Table[T], msg tea.Msg) bool {
	again, ok := msg.(twice)
	if !ok {
		return false
	}
	before := t.At()
	return t.Update(again.MouseClickMsg) && t.At() == before
}

// elsewhere tells on which page a key works that does nothing here; it tells nothing for keys without a meaning.
func (k *keyMap) elsewhere(pressed tea.KeyPressMsg) wish {
	tunnel := "on a tunnel: " + k.tunnels.Shortest() + " goes to them"
	list := "in the lists of clusters, services, tasks and tunnels"
	saved := "a saved tunnel: " + k.saved.Shortest() + " goes to them"
	for _, does := range []struct {
		key  draw.Binding
		what string
	}{
		{k.stop, "stops " + tunnel},
		{k.reconnect, "reconnects " + tunnel},
		{k.view, "shows the next view of one tunnel: " + k.tunnels.Shortest() + ", then " + k.in.Shortest()},
		{k.number, "shows a view of one tunnel: " + k.tunnels.Shortest() + ", then " + k.in.Shortest()},
		{k.forward, "forwards to a service, task or container: " + k.back.Shortest() + " goes back to them"},
		{k.any, "leads to any host through a service, task or container: " + k.back.Shortest() + " goes back to them"},
		{k.copy, "copies " + list},
		{k.edit, "changes a tunnel that is over, or " + saved},
		{k.remove, "deletes " + saved},
		{k.mark, "marks services, tasks and tunnels"},
		{k.details, "shows details of a cluster, service, task or container"},
		{k.console, "opens the page of a cluster, service, task or container in AWS's console"},
		{k.doctor, "examines a service, task, container or tunnel"},
		{k.in, "opens what is under the cursor " + list},
		{k.right, "goes inward " + list + "; of one tunnel, the next view"},
		{k.left, "goes back " + list + "; of one tunnel, the view before"},
		{k.back, "goes back; this is the first page, " + k.quit.Shortest() + " quits"},
		{k.filter, "filters " + list},
		{k.sort, "sorts " + list},
		{k.reverse, "sorts " + list},
	} {
		if does.key.Pressed(pressed) {
			return tell(pressed.String() + " " + does.what)
		}
	}
	return nil
}
