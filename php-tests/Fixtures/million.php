<?php

declare(strict_types=1);

/* Sends many SETs through one pipeline: million.php ENDPOINT COUNT. Says what memory that took beyond the replies' own, in KB. */

[, $endpoint, $count] = $argv;
$resident = static function (string $field): int {
    preg_match("/$field:\s+(\d+)/", (string) file_get_contents('/proc/self/status'), $found);

    return (int) $found[1];
};
$redis = new ResilientRedis($endpoint, ['command_timeout' => 60]);
$redis->ping();
// What the replies will take is taken once before, so that only what comes on top counts.
$replies = [];
for ($i = 0; $i < (int) $count; $i++) {
    $replies[] = str_repeat('OK', (int) ($i >= 0));
}
unset($replies);
gc_mem_caches();
$before = $resident('VmHWM');
$replies = $redis->pipeline(static function (ResilientRedis\Pipeline $pipeline) use ($count): void {
    for ($i = 0; $i < (int) $count; $i++) {
        $pipeline->set("key:$i", $i);
    }
});
echo json_encode(['replies' => count($replies), 'before' => $before, 'peak' => $resident('VmHWM')]);
