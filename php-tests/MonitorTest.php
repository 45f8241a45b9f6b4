<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\Monitor\Consumer;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;

/** `monitor()`: the commands of everybody, as long as one wants to see them. */
final class MonitorTest extends RedisTestCase
{
    /** @return array<string, array{int}> */
    public static function protocols(): array
    {
        return ['RESP2' => [2], 'RESP3' => [3]];
    }

    /** @dataProvider protocols */
    public function test_commands_are_seen_as_from_predis(int $protocol): void
    {
        $redis = self::client(['protocol' => $protocol]);
        $redis->ping();
        $monitor = $redis->monitor();
        self::assertInstanceOf(Consumer::class, $monitor);
        self::assertSame($redis, $monitor->getClient());
        $redis->set('k', "two words\n");
        $redis->select(3);
        $redis->get('k');
        $seen = [];
        foreach ($monitor as $command) {
            if (!in_array($command->command, ['set', 'SET', 'get', 'GET'], true)) {
                continue;
            }
            $seen[] = $command;
            if (count($seen) === 2) {
                $monitor->stop();
            }
        }
        self::assertEqualsWithDelta(microtime(true), $seen[0]->timestamp, 5.0);
        self::assertMatchesRegularExpression('~^127\.0\.0\.1:\d+$~', $seen[0]->client);
        self::assertSame([0, 'SET', '"k" "two words\n"'], [$seen[0]->database, $seen[0]->command, $seen[0]->arguments]);
        self::assertSame([3, 'GET', '"k"'], [$seen[1]->database, $seen[1]->command, $seen[1]->arguments]);
        self::assertFalse($monitor->valid());
        self::assertSame('PONG', $redis->ping());
    }

    public function test_a_command_with_a_large_value_is_seen_whole(): void
    {
        $redis = self::client();
        $monitor = $redis->monitor();
        $value = str_repeat('0123456789', 300_000);
        $redis->set('large', $value);
        $redis->set('small', 'x');
        // A client that waits long for its reply asks on another connection what is wrong, which is seen as well.
        $next = static function () use ($monitor): string {
            while (($seen = $monitor->current())->command !== 'SET') {
            }

            return $seen->arguments;
        };
        self::assertSame(strlen($value) + strlen('"large" ""'), strlen($next()));
        self::assertSame('"small" "x"', $next());
    }

    public function test_it_goes_on_at_the_promoted_node(): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->endpoints());
        $events = [];
        $redis->onEvent(static function (string $name) use (&$events): void {
            $events[] = $name;
        });
        $monitor = $redis->monitor();
        $redis->set('before', '1');
        while ($monitor->current()->arguments !== '"before" "1"') {
        }
        $set->primary()->kill();
        $set->promote($set->replica());
        $code = "\$s = stream_socket_client('tcp://{$set->replica()->address()}');"
            . 'while (fwrite($s, "ECHO after\r\n")) { fgets($s); fgets($s); usleep(20000); }';
        $this->stoppedAtTheEnd(new Process([PHP_BINARY, '-n', '-r', $code]));
        while ($monitor->current()->arguments !== '"after"') {
        }
        self::assertContains('pubsub.resubscribed', $events);
    }
}
