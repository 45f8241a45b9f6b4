<?php

// A process that works until it is told to end, with a password that it reads from a file each time it is asked:
// rotation.php KIND FILE PARAMETERS OPTIONS, the last two as JSON. Says how often it did what, and what failed.

declare(strict_types=1);

[, $kind, $file, $parameters, $options] = $argv;
$password = static fn (): array => ['app', trim((string) file_get_contents($file))];
$options = (array) json_decode($options, true) + ['command_timeout' => 5.0];
$options['parameters'] = ['password' => $password];
$redis = new ResilientRedis(json_decode($parameters, true), $options);
$done = 0;
$failures = [];
$work = match ($kind) {
    'commands' => static function () use ($redis, &$done): bool {
        return (string) $redis->set("k$done", "v$done") === 'OK' && $redis->get("k$done") === "v$done";
    },
    'pipelines' => static function () use ($redis, &$done): bool {
        $replies = $redis->pipeline(static function ($pipe) use ($done): void {
            for ($i = 0; $i < 50; $i++) {
                $pipe->set("p$i", "v$done");
                $pipe->get("p$i");
            }
        });

        return count($replies) === 100 && $replies[99] === "v$done";
    },
    'transactions' => static function () use ($redis, &$done): bool {
        return $redis->transaction(static function ($transaction) use ($done): void {
            $transaction->set('{t}a', "v$done");
            $transaction->get('{t}a');
        })[1] === "v$done";
    },
    'several nodes' => static function () use ($redis, &$done): bool {
        $pairs = [];
        for ($i = 0; $i < 10; $i++) {
            $pairs["m$i"] = "v$done";
        }

        return (string) $redis->mset($pairs) === 'OK' && $redis->mget(array_keys($pairs)) === array_values($pairs) && $redis->dbsize() > 0;
    },
    'new objects' => static function () use ($parameters, $options, &$done): bool {
        $redis = new ResilientRedis(json_decode($parameters, true), $options);

        return (string) $redis->set('k', "v$done") === 'OK';
    },
};
stream_set_blocking(STDIN, false);
echo "ready\n";
while ((string) fread(STDIN, 1) === '') {
    try {
        if (!$work()) {
            $failures[] = 'a wrong reply';
        }
    } catch (Throwable $failure) {
        $failures[] = $failure::class . ': ' . $failure->getMessage();
    }
    $done++;
}
echo json_encode([$done, array_slice($failures, 0, 5)]), "\n";
