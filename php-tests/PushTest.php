<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\OutcomeUnknown;
use ResilientRedis\Push\Consumer;
use ResilientRedis\Push\DispatcherLoop;
use ResilientRedis\Push\Response;
use ResilientRedis\ServerException;
use ResilientRedis\TimeoutException;
use Tests\Support\RedisTestCase;

/** `push()`: what the server says by itself, and that nothing of it is lost in silence. */
final class PushTest extends RedisTestCase
{
    /** @return array<string, array{int}> */
    public static function protocols(): array
    {
        return ['RESP2' => [2], 'RESP3' => [3]];
    }

    /** @dataProvider protocols */
    public function test_keys_that_others_change_and_messages_come_as_from_predis(int $protocol): void
    {
        $redis = self::client(['protocol' => $protocol]);
        $seen = [];
        $push = $redis->push(static function (ResilientRedis $client) use (&$seen): void {
            $seen[] = $client->client('TRACKING', 'ON', 'BCAST', 'PREFIX', 'user:');
            $seen[] = $client->subscribe('channel', 'control');
        });
        self::assertInstanceOf(Consumer::class, $push);
        self::assertSame(['OK', ['subscribe', 'channel', 1]], $seen);
        $redis->set('user:1', 'x');
        $redis->set('other', 'x');
        self::assertSame(1, $redis->publish('control', 'terminate'));
        foreach ($push as $key => $notification) {
            self::assertInstanceOf(Response::class, $notification);
            $seen[] = [$key, $notification->getDataType(), $notification->getPayload()];
            if ($notification->getDataType() === Response::MESSAGE_DATA_TYPE && $notification[2] === 'terminate') {
                self::assertTrue(isset($notification[1], $notification['1']) && !isset($notification[3]));
                $push->stop();
            }
        }
        self::assertSame([
            [0, 'subscribe', ['control', 2]],
            [1, 'invalidate', [['user:1']]],
            [2, 'message', ['control', 'terminate']],
        ], array_slice($seen, 2));
        self::assertFalse($push->valid());
        self::assertNull($push->current());
        self::assertNobodyHears($redis, 'control');
        self::assertSame('PONG', $redis->ping(), 'the client itself is as it was');
    }

    public function test_commands_run_on_the_connection_that_hears_and_on_no_other(): void
    {
        $redis = self::client(['protocol' => 3, 'prefix' => 'app:']);
        $redis->set('k', 'v');
        $push = $redis->push();
        $client = $push->getClient();
        self::assertNotSame($redis, $client);
        self::assertSame('OK', $client->client('TRACKING', 'ON'));
        self::assertSame('v', $client->get('k'));
        self::assertNotSame($redis->client('ID'), $client->client('ID'));
        $redis->get('other');
        $redis->set('other', 'not tracked: another connection has read it');
        $redis->set('k', 'w');
        self::assertSame('w', $client->get('k'), 'an invalidation came before this reply');
        self::assertSame(['invalidate', [['app:k']]], [($got = $push->current())->getDataType(), $got->getPayload()]);
        self::assertSame('off', self::flags($redis));
        self::assertSame('on', self::flags($client));
        $push->stop();
        self::assertSame('off', self::flags($client), 'stop() has closed that connection');
    }

    public function test_a_connection_that_was_cut_is_replaced_and_everything_is_void(): void
    {
        $redis = self::client();
        $events = [];
        $redis->onEvent(static function (string $name, array $details) use (&$events): void {
            $events[$name] = $details;
        });
        $push = $redis->push(static function (ResilientRedis $client): void {
            $client->client('TRACKING', 'ON', 'BCAST');
            $client->subscribe('c');
        });
        $id = $push->getClient()->client('ID');
        $redis->client('KILL', 'ID', $id);
        $got = $push->current();
        self::assertSame(['invalidate', [null]], [$got->getDataType(), $got->getPayload()]);
        self::assertSame(2, $events['pubsub.resubscribed']['subscriptions'] ?? json_encode($events));
        $redis->set('k', 'v');
        self::assertSame(['k'], $push->current()[1]);
        $redis->publish('c', 'still');
        self::assertSame(['c', 'still'], $push->current()->getPayload());
        self::assertNotSame($id, $push->getClient()->client('ID'));
    }

    public function test_it_goes_on_at_the_promoted_node(): void
    {
        $set = $this->replicaSet(1);
        $events = [];
        $redis = new ResilientRedis($set->endpoints(), ['on_event' => static function (string $name) use (&$events): void {
            $events[] = $name;
        }]);
        $push = $redis->push(static fn (ResilientRedis $client) => $client->client('TRACKING', 'ON', 'BCAST'));
        $push->getClient()->set('k', 'v');
        self::assertSame(['k'], $push->current()[1]);
        $set->primary()->kill();
        $set->promoteLater($set->replica(), 0.3);
        self::assertSame([null], $push->current()->getPayload());
        self::assertContains('pubsub.resubscribed', $events);
        $redis->set('after', 'v');
        self::assertSame(['after'], $push->current()[1]);
    }

    public function test_the_loop_of_messages_tells_of_a_failover_before_the_next_message(): void
    {
        $set = $this->replicaSet(1);
        $told = [];
        $redis = new ResilientRedis($set->endpoints(), ['on_event' => static function (string $name) use (&$told, $set): void {
            $told[] = $name;
            if ($name === 'pubsub.resubscribed') {
                $set->replica()->command('PUBLISH', 'c', 'by the listener');
            }
        }]);
        $loop = $redis->pubSubLoop(['subscribe' => 'c']);
        $loop->current();
        $set->primary()->kill();
        $set->promoteLater($set->replica(), 0.3);
        self::assertSame('by the listener', $loop->current()->payload);
        self::assertContains('pubsub.resubscribed', $told);
        $loop->stop(0);
        self::assertSame('unsubscribe', $loop->current()->kind, 'only what PHP takes for true drops the connection');
        $loop->subscribe('c');
        $loop->current();
        $loop->stop('yes');
        self::assertFalse($loop->valid());
    }

    public function test_a_dispatcher_calls_back_per_type(): void
    {
        $redis = self::client();
        $push = $redis->push(static function (ResilientRedis $client): void {
            $client->client('TRACKING', 'ON', 'BCAST');
            $client->subscribe('quit', 'more');
        });
        $dispatcher = new DispatcherLoop($push);
        self::assertSame($push, $dispatcher->getConsumer());
        $seen = [];
        $dispatcher->setDefaultCallback(static function (array $payload) use (&$seen): void {
            $seen[] = 'default ' . json_encode($payload);
        });
        $dispatcher->attachCallback('invalidate', static function (array $payload, DispatcherLoop $of) use (&$seen, $redis, $dispatcher): void {
            self::assertSame($dispatcher, $of);
            $seen[] = 'invalidate ' . json_encode($payload);
            $of->detachCallback('invalidate');
            $redis->set('b', 1);
            $redis->publish('quit', 'now');
        });
        $dispatcher->attachCallback('message', static function (array $payload, DispatcherLoop $of) use (&$seen): void {
            $seen[] = 'message ' . json_encode($payload);
            $of->stop();
        });
        $redis->set('a', 1);
        $dispatcher->run();
        self::assertSame(['default ["more",2]', 'invalidate [["a"]]', 'default [["b"]]', 'message ["quit","now"]'], $seen);
        self::thrown(ClientException::class, static fn () => new DispatcherLoop($redis->pubSubLoop()));
        self::thrown(ClientException::class, static fn () => $dispatcher->attachCallback('message', 'no such function'));
        self::thrown(ClientException::class, static fn () => $dispatcher->attachCallback('', null));
    }

    public function test_without_a_primary_the_wait_ends_with_the_usual_exception_and_goes_on_when_there_is_one(): void
    {
        $server = $this->server();
        $redis = new ResilientRedis($server->endpoint(), ['command_timeout' => 0.5]);
        $push = $redis->push(static fn (ResilientRedis $client) => $client->client('TRACKING', 'ON', 'BCAST'));
        $server->kill();
        self::thrown(TimeoutException::class, static fn () => $push->current());
        self::assertTrue($push->valid(), 'the next wait tries again');
        self::thrown(TimeoutException::class, static fn () => $push->getClient()->get('k'));
    }

    public function test_what_cannot_be_had_on_such_a_connection_says_so(): void
    {
        $redis = self::client();
        $push = $redis->push();
        $client = $push->getClient();
        foreach ([
            static fn () => $client->multi(),
            static fn () => $client->watch('k'),
            static fn () => $client->pipeline(static fn ($pipe) => $pipe->set('a', 1)->get('a')),
            static fn () => $redis->push('no such function'),
            static fn () => $redis->subscribe('c'),
            static fn () => $redis->pipeline()->push(),
            static fn () => (new Consumer())->current(),
            static fn () => (new Response([]))->getDataType(),
            static function (): void {
                $push = new Response(['x']);
                $push[0] = 'y';
            },
        ] as $misuse) {
            self::thrown(ClientException::class, $misuse);
        }
        $thrown = self::thrown(ServerException::class, static fn () => $client->client('TRACKING', 'ON', 'NONSENSE'));
        self::assertNotInstanceOf(OutcomeUnknown::class, $thrown);
        self::assertSame('PONG', $client->ping());
        $thrown = self::thrown(\DomainException::class, static fn () => $redis->push(
            static fn () => throw new \DomainException('enough'),
        ));
        self::assertSame('enough', $thrown->getMessage());
        $push = unserialize(serialize(new Response(['invalidate', ['k']])));
        self::assertSame(['k'], $push[1]);
        unset($push);
    }

    public function test_the_handler_of_a_signal_may_stop_it(): void
    {
        $push = self::client()->push(static fn (ResilientRedis $client) => $client->client('TRACKING', 'ON', 'BCAST'));
        pcntl_async_signals(true);
        pcntl_signal(SIGALRM, static fn () => $push->stop());
        pcntl_alarm(1);
        $started = microtime(true);
        $count = 0;
        foreach ($push as $notification) {
            self::assertNull($notification, 'there was none');
            $count++;
        }
        self::assertSame(1, $count);
        self::assertLessThan(2.5, microtime(true) - $started);
        pcntl_signal(SIGALRM, SIG_DFL);
    }

    public function test_a_consumer_and_its_client_that_know_each_other_are_collected(): void
    {
        $redis = self::client();
        $push = $redis->push(static fn (ResilientRedis $client) => $client->subscribe('c'));
        $push->getClient()->onEvent(static fn () => $push->valid());
        self::assertSame(1, $redis->publish('c', 'x'));
        unset($push);
        gc_collect_cycles();
        self::assertNobodyHears($redis, 'c');
    }

    public function test_memory_does_not_grow_with_pushes(): void
    {
        $redis = self::client();
        $push = $redis->push(static fn (ResilientRedis $client) => $client->client('TRACKING', 'ON', 'BCAST'));
        $round = static function () use ($redis, $push): void {
            for ($i = 0; $i < 500; $i++) {
                $redis->set("key:$i", str_repeat('x', $i));
                self::assertSame(["key:$i"], $push->current()[1]);
            }
        };
        $round();
        $before = memory_get_usage();
        $round();
        $round();
        self::assertLessThan(10_000, memory_get_usage() - $before);
    }

    /** The server learns of a closed connection a moment later. */
    private static function assertNobodyHears(ResilientRedis $redis, string $channel): void
    {
        $until = microtime(true) + 5.0;
        while (($listeners = $redis->publish($channel, 'nobody')) !== 0 && microtime(true) < $until) {
            usleep(1000);
        }
        self::assertSame(0, $listeners);
    }

    /** Whether the connection tracks keys. */
    private static function flags(ResilientRedis $client): string
    {
        return in_array('on', (array) ($client->client('TRACKINGINFO')['flags'] ?? $client->client('TRACKINGINFO')[1]), true) ? 'on' : 'off';
    }
}
