<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\ConfigurationException;
use ResilientRedis\PubSub\Consumer;
use ResilientRedis\PubSub\DispatcherLoop;
use ResilientRedis\ServerException;
use ResilientRedis\TimeoutException;
use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

/** `pubSubLoop()`: what comes, how it ends, and that it goes on after a failover. */
final class PubSubTest extends RedisTestCase
{
    /** @return array<string, array{int}> */
    public static function protocols(): array
    {
        return ['RESP2' => [2], 'RESP3' => [3]];
    }

    /** @dataProvider protocols */
    public function test_messages_come_as_from_predis(int $protocol): void
    {
        $redis = self::client(['protocol' => $protocol]);
        $loop = $redis->pubSubLoop(['subscribe' => ['news', 'sports'], 'psubscribe' => 'n*', 'ssubscribe' => 'shard']);
        self::assertInstanceOf(Consumer::class, $loop);
        self::assertSame($redis, $loop->getClient());
        $seen = [];
        foreach ($loop as $key => $message) {
            $seen[$key] = (array) $message;
            if (count($seen) === 4) {
                self::assertSame(2, $redis->publish('news', 'hello'));
                self::assertSame(1, $redis->spublish('shard', 'part'));
                $loop->ping('still there');
            }
            if ($message->kind === 'pong') {
                $loop->stop();
            }
        }
        self::assertSame([
            ['kind' => 'subscribe', 'channel' => 'news', 'payload' => 1],
            ['kind' => 'subscribe', 'channel' => 'sports', 'payload' => 2],
            ['kind' => 'psubscribe', 'channel' => 'n*', 'payload' => 3],
            ['kind' => 'ssubscribe', 'channel' => 'shard', 'payload' => 1],
            ['kind' => 'message', 'channel' => 'news', 'payload' => 'hello'],
            ['kind' => 'pmessage', 'pattern' => 'n*', 'channel' => 'news', 'payload' => 'hello'],
            ['kind' => 'smessage', 'channel' => 'shard', 'payload' => 'part'],
            ['kind' => 'pong', 'payload' => 'still there'],
            ['kind' => 'unsubscribe', 'channel' => 'news', 'payload' => 2],
            ['kind' => 'unsubscribe', 'channel' => 'sports', 'payload' => 1],
            ['kind' => 'punsubscribe', 'channel' => 'n*', 'payload' => 0],
            ['kind' => 'sunsubscribe', 'channel' => 'shard', 'payload' => 0],
        ], $seen);
        self::assertFalse($loop->valid());
        self::assertSame('PONG', $redis->ping(), 'the client itself is as it was');
    }

    public function test_false_from_the_callable_ends_the_loop_and_closes_its_connection(): void
    {
        $redis = self::client();
        $seen = [];
        $result = $redis->pubSubLoop(['subscribe' => 'c'], function (Consumer $loop, object $message) use ($redis, &$seen) {
            $seen[] = "$message->kind $message->payload";
            $redis->publish('c', (string) count($seen));

            return count($seen) < 3 ? null : false;
        });
        self::assertNull($result);
        self::assertSame(['subscribe 1', 'message 1', 'message 2'], $seen);
        self::assertSame(0, $redis->publish('c', 'nobody'));
    }

    public function test_channels_come_and_go_while_the_loop_runs(): void
    {
        $redis = self::client();
        $kinds = [];
        $redis->pubSubLoop(function (Consumer $loop, object $message) use (&$kinds): void {
            self::fail('nothing is subscribed to');
        });
        $loop = $redis->pubSubLoop();
        self::assertFalse($loop->valid());
        $loop->subscribe('a', 'b');
        $loop->psubscribe(['p*', 'q*']);
        self::assertTrue($loop->valid());
        foreach ($loop as $message) {
            $kinds[] = "$message->kind $message->channel";
            if ($message->channel === 'q*' && $message->kind === 'psubscribe') {
                $loop->unsubscribe('a');
                $loop->punsubscribe();
                $loop->unsubscribe();
            }
        }
        self::assertSame(['subscribe a', 'subscribe b', 'psubscribe p*', 'psubscribe q*', 'unsubscribe a',
            'punsubscribe p*', 'punsubscribe q*', 'unsubscribe b'], $kinds);
    }

    public function test_a_thousand_channels_and_a_large_message(): void
    {
        $redis = self::client();
        $names = array_map(static fn (int $i): string => "channel:$i", range(1, 1000));
        $loop = $redis->pubSubLoop(['subscribe' => $names]);
        for ($i = 0; $i < 1000; $i++) {
            self::assertSame($names[$i], $loop->current()->channel);
        }
        $large = str_repeat('0123456789', 500_000);
        $redis->publish('channel:777', $large);
        $message = $loop->current();
        self::assertSame('channel:777', $message->channel);
        self::assertTrue($message->payload === $large);
        $loop->stop(true);
        self::assertFalse($loop->valid());
    }

    /** @dataProvider protocols */
    public function test_the_loop_goes_on_at_the_promoted_node_and_tells_of_the_gap(int $protocol): void
    {
        $set = $this->replicaSet(1);
        $events = [];
        $redis = new ResilientRedis($set->endpoints(), ['protocol' => $protocol]);
        $redis->onEvent(static function (string $name, array $details) use (&$events): void {
            $events[$name] = $details;
        });
        $loop = $redis->pubSubLoop(['subscribe' => ['a', 'b'], 'psubscribe' => 'p*']);
        for ($i = 0; $i < 3; $i++) {
            $loop->current();
        }
        $set->primary()->kill();
        $set->promoteLater($set->replica(), 0.3);
        $publisher = $this->stoppedAtTheEnd($this->publishing($set->replica()->port, 'b', 'after'));
        // The server may deliver before it has confirmed the last of the three.
        for ($i = 0; $i < 3 && !isset($events['pubsub.resubscribed']); $i++) {
            $message = $loop->current();
            self::assertSame(['message', 'b', 'after'], [$message->kind, $message->channel, $message->payload]);
        }
        $told = $events['pubsub.resubscribed'] ?? self::fail('no event: ' . json_encode($events));
        self::assertSame($set->replica()->address(), $told['node']);
        self::assertSame(3, $told['subscriptions']);
        self::assertGreaterThan(0.2, $told['duration']);
        self::assertLessThan(3.0, $told['duration']);
        self::assertGreaterThanOrEqual($told['duration'], $told['missed']);
    }

    public function test_a_primary_that_hangs_without_a_word_is_left_for_the_promoted_one(): void
    {
        $set = $this->replicaSet(1);
        $redis = new ResilientRedis($set->endpoints(), ['timeout' => 0.5]);
        $loop = $redis->pubSubLoop(['subscribe' => 'c']);
        $loop->current();
        $set->primary()->freeze();
        $set->replica()->promote();
        $this->stoppedAtTheEnd($this->publishing($set->replica()->port, 'c', 'after'));
        $started = microtime(true);
        self::assertSame('after', $loop->current()->payload);
        self::assertLessThan(8.0, microtime(true) - $started);
    }

    public function test_without_a_primary_the_loop_ends_with_the_usual_exception(): void
    {
        $server = $this->server();
        $redis = new ResilientRedis($server->endpoint(), ['command_timeout' => 0.5]);
        $loop = $redis->pubSubLoop(['subscribe' => 'c']);
        $loop->current();
        $server->kill();
        $thrown = self::thrown(TimeoutException::class, static fn () => $loop->current());
        self::assertSame('SUBSCRIBE', $thrown->getCommand());
        self::assertTrue($loop->valid(), 'the next wait tries again');
    }

    public function test_the_handler_of_a_signal_runs_while_nothing_comes_and_may_stop_the_loop(): void
    {
        $redis = self::client();
        $loop = $redis->pubSubLoop(['subscribe' => 'c']);
        pcntl_async_signals(true);
        foreach ([false, true] as $drop) {
            if (!$loop->valid()) {
                $loop->subscribe('c');
            }
            $handled = 0;
            pcntl_signal(SIGALRM, static function () use ($loop, $drop, &$handled): void {
                $handled++;
                $loop->stop($drop);
            });
            pcntl_alarm(1);
            $kinds = [];
            $started = microtime(true);
            foreach ($loop as $message) {
                $kinds[] = $message->kind;
            }
            self::assertSame([['subscribe', 'unsubscribe'], 1], [$kinds, $handled]);
            self::assertLessThan(2.0, microtime(true) - $started);
        }
        pcntl_signal(SIGALRM, SIG_DFL);
    }

    public function test_what_the_callable_throws_ends_the_loop(): void
    {
        $redis = self::client();
        $thrown = self::thrown(\DomainException::class, static fn () => $redis->pubSubLoop(
            ['subscribe' => 'c'],
            static fn () => throw new \DomainException('enough'),
        ));
        self::assertSame('enough', $thrown->getMessage());
        self::assertSame(0, $redis->publish('c', 'nobody'));
    }

    public function test_a_child_of_a_fork_leaves_the_parents_connection_alone(): void
    {
        $redis = self::client();
        $loop = $redis->pubSubLoop(['subscribe' => 'c']);
        $loop->current();
        $child = pcntl_fork();
        if ($child === 0) {
            $loop->stop(true);
            unset($loop);
            posix_kill(getmypid(), SIGKILL);
        }
        pcntl_waitpid($child, $status);
        self::assertSame(1, $redis->publish('c', 'to the parent'));
        self::assertSame('to the parent', $loop->current()->payload);
    }

    public function test_a_client_and_its_loop_that_know_each_other_are_collected(): void
    {
        $redis = self::client();
        $loop = $redis->pubSubLoop(['subscribe' => 'c']);
        $loop->current();
        $redis->onEvent(static fn () => $loop->valid());
        $other = self::client();
        self::assertSame(1, $other->publish('c', 'x'));
        unset($redis, $loop);
        gc_collect_cycles();
        self::assertSame(0, $other->publish('c', 'y'));
    }

    public function test_memory_does_not_grow_with_messages(): void
    {
        $redis = self::client();
        $loop = $redis->pubSubLoop(['subscribe' => 'c']);
        $loop->current();
        $round = static function () use ($redis, $loop): void {
            $redis->pipeline(['fire-and-forget' => true], static function ($pipe): void {
                for ($i = 0; $i < 5000; $i++) {
                    $pipe->publish('c', 'payload ' . $i);
                }
            });
            for ($i = 0; $i < 5000; $i++) {
                $loop->current();
            }
        };
        $round();
        $before = memory_get_usage();
        for ($i = 0; $i < 5; $i++) {
            $round();
        }
        self::assertLessThan(10_000, memory_get_usage() - $before);
    }

    public function test_a_message_that_memory_has_no_room_for_is_php_s_own_error(): void
    {
        $server = self::shared();
        $ini = ['memory_limit' => '8M', 'display_errors' => '1'];
        $run = $this->stoppedAtTheEnd(new Process(Extension::php(__DIR__ . '/Fixtures/large-message.php', $ini, $server->endpoint())));
        Wait::until('it listens', static fn (): bool => str_contains($run->output(), 'subscribe'));
        $before = $server->counters();
        $server->command('PUBLISH', 'news', str_repeat('x', 20 << 20));
        self::assertSame(255, $run->wait(), $run->output());
        self::assertStringContainsString('Allowed memory size of', $run->output());
        self::assertStringNotContainsString('event', $run->output());
        self::assertLessThan(3, $server->counters()->connections - $before->connections, 'connections since');
    }

    /** @dataProvider listsOfNoUse */
    public function test_channels_are_strings_or_lists_of_them(callable $ask, string $exception): void
    {
        $redis = self::client();
        self::thrown($exception, static fn () => $ask($redis));
        self::assertSame('PONG', $redis->ping());
    }

    public function test_a_dispatcher_with_a_foreign_consumer_is_refused(): void
    {
        foreach ([DispatcherLoop::class, \ResilientRedis\Push\DispatcherLoop::class] as $class) {
            $loop = (new \ReflectionClass($class))->newInstanceWithoutConstructor();
            (new \ReflectionProperty($loop, 'consumer'))->setValue($loop, new \stdClass());
            foreach (['run', 'stop'] as $method) {
                self::thrown(ClientException::class, static fn () => $loop->$method());
            }
        }
    }

    /** @return iterable<string, array{callable, string}> */
    public static function listsOfNoUse(): iterable
    {
        $itself = ['a'];
        $itself[] = &$itself;
        $loop = static fn (ResilientRedis $redis) => $redis->pubSubLoop();
        yield 'a list that contains itself' => [static fn ($redis) => $loop($redis)->subscribe($itself), ClientException::class];
        yield 'the same as an option' => [static fn ($redis) => $redis->pubSubLoop(['subscribe' => $itself]), ConfigurationException::class];
        yield 'the same of a dispatcher' => [
            static fn ($redis) => (new DispatcherLoop($loop($redis)))->attachCallback($itself, 'strlen'), ClientException::class,
        ];
        yield 'an object' => [static fn ($redis) => $loop($redis)->subscribe(new \stdClass()), ClientException::class];
    }

    public function test_a_channel_that_the_user_may_not_hear_is_a_server_exception(): void
    {
        $server = $this->server();
        $server->command('ACL', 'SETUSER', 'limited', 'on', '>pw', '+@all', '~*', 'resetchannels', '&open');
        $redis = new ResilientRedis(['host' => '127.0.0.1', 'port' => $server->port, 'username' => 'limited', 'password' => 'pw']);
        $loop = $redis->pubSubLoop(['subscribe' => 'open']);
        $loop->current();
        $loop->subscribe('secret');
        $thrown = self::thrown(ServerException::class, static fn () => $loop->current());
        self::assertSame('NOPERM', $thrown->getErrorType());
        $server->command('PUBLISH', 'open', 'still');
        self::assertSame('still', $loop->current()->payload);
    }

    public function test_a_dispatcher_calls_back_per_channel(): void
    {
        $redis = self::client();
        $loop = $redis->pubSubLoop();
        $dispatcher = new DispatcherLoop($loop);
        self::assertSame($loop, $dispatcher->getPubSubConsumer());
        self::assertSame($loop, $dispatcher->getConsumer());
        $seen = [];
        $dispatcher->attachCallback('7', static function (string $payload, DispatcherLoop $of) use (&$seen, $dispatcher): void {
            $seen[] = "seven $payload";
            self::assertSame($dispatcher, $of);
            $of->detachCallback('gone');
        });
        $dispatcher->attachCallback('gone', static fn () => self::fail('nothing is published there'));
        $dispatcher->attachCallback('quit', static fn (string $payload, DispatcherLoop $of) => $of->stop());
        $loop->psubscribe('p*');
        $dispatcher->setDefaultCallback(static fn () => self::fail('another has taken its place'));
        $dispatcher->defaultCallback(static fn () => self::fail('another has taken its place'));
        $dispatcher->setDefaultCallback(static function (object $message) use (&$seen): void {
            $seen[] = "default $message->channel $message->payload";
        });
        $dispatcher->subscriptionCallback(static function (object $message) use (&$seen, $redis): void {
            $seen[] = "$message->kind $message->channel";
            if ($message->kind === 'psubscribe') {
                $redis->publish('7', 'a');
                $redis->publish('party', 'b');
                $redis->publish('quit', '');
            }
        });
        $dispatcher->run();
        self::assertSame(['subscribe 7', 'subscribe gone', 'subscribe quit', 'psubscribe p*', 'seven a', 'default party b',
            'unsubscribe gone', 'unsubscribe 7', 'unsubscribe quit', 'punsubscribe p*'], $seen);
        self::thrown(ClientException::class, static fn () => new DispatcherLoop($redis));
        self::thrown(ClientException::class, static fn () => $dispatcher->attachCallback('c', 'no such function'));
    }

    public function test_misuse_is_told_before_anything_is_sent(): void
    {
        $redis = self::client();
        foreach ([['subcribe' => 'c'], ['subscribe' => 1.5], ['subscribe' => [null]]] as $options) {
            self::thrown(ConfigurationException::class, static fn () => $redis->pubSubLoop($options));
        }
        self::thrown(ConfigurationException::class, static fn () => $redis->pubSubLoop(['subscribe' => 'c'], 'no such function'));
        $loop = $redis->pubSubLoop();
        self::thrown(ClientException::class, static fn () => $loop->subscribe());
        self::thrown(ClientException::class, static fn () => $loop->subscribe(new \ArrayObject()));
        self::thrown(ClientException::class, static fn () => (new Consumer())->subscribe('c'));
        self::assertFalse($loop->valid());
    }

    /** A process that publishes for as long as it runs. */
    private function publishing(int $port, string $channel, string $payload): \Tests\Support\Process
    {
        $script = \Tests\Support\Scratch::folder('publisher') . '/publish.php';
        $line = "*3\\r\\n\$7\\r\\nPUBLISH\\r\\n\$" . strlen($channel) . "\\r\\n$channel\\r\\n\$" . strlen($payload) . "\\r\\n$payload\\r\\n";
        file_put_contents($script, <<<PHP
            <?php
            \$socket = stream_socket_client('tcp://127.0.0.1:$port');
            while (fwrite(\$socket, "$line") !== false) { fgets(\$socket); usleep(20000); }
            PHP);

        return new \Tests\Support\Process([PHP_BINARY, '-n', $script]);
    }
}
