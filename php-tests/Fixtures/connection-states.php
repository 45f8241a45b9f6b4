<?php

declare(strict_types=1);

/* States that a program can leave its connection in, by name: what it does. For the users and keys of hostile suites. */

return static fn (ResilientRedis $redis): array => [
    'nothing' => static fn () => null,
    'MULTI' => static function () use ($redis): void {
        $redis->multi();
        $redis->set('token', 'queued');
    },
    'WATCH' => static fn () => $redis->watch('token'),
    'CLIENT SETNAME' => static fn () => $redis->client('SETNAME', 'hostile'),
    'CLIENT NO-EVICT' => static fn () => $redis->client('NO-EVICT', 'ON'),
    'CLIENT TRACKING' => static fn () => $redis->client('TRACKING', 'ON'),
    'CLIENT REPLY' => static fn () => $redis->client('REPLY', 'OFF'),
    'AUTH' => static fn () => $redis->auth('hostile', 'secret'),
    'HELLO' => static fn () => $redis->executeRaw(['HELLO', '3']),
    'SUBSCRIBE' => static fn () => $redis->executeRaw(['SUBSCRIBE', 'channel']),
    'MONITOR' => static fn () => $redis->executeRaw(['MONITOR']),
    'QUIT' => static fn () => $redis->executeRaw(['QUIT']),
    'an error reply' => static fn () => $redis->executeRaw(['GET']),
    'a large reply' => static fn () => $redis->get('large'),
];
