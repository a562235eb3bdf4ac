package aws

import "github.com/aws/aws-sdk-go-v2/service/ecs/types"

// UnderWatchdog is the entry point and the command of a container under the watchdog; nil when it cannot be.
func UnderWatchdog(entry, command []string) (entryPoint, watchedCommand []string) {
	return entry, watched(types.ContainerDefinition{EntryPoint: entry, Command: command})
}
