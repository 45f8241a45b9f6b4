<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConfigurationException;
use ResilientRedis\ConnectionException;
use ResilientRedis\NotSupportedException;
use ResilientRedis\OutcomeUnknown;
use Tests\Support\RedisTestCase;
use Tests\Support\Sentinel;
use Tests\Support\SentinelSet;
use Tests\Support\Wait;

/** A primary that real sentinels watch over: it is found through them, and a failover of theirs is a pause. */
final class SentinelTest extends RedisTestCase
{
    /** How long after the promotion a command may still take; generous, for busy machines. */
    private const SOON = 0.5;

    /** @var list<string> */
    private array $events = [];

    public function test_a_killed_primary_is_a_pause_that_ends_with_the_promotion(): void
    {
        $set = $this->sentinelSet();
        $redis = $this->clientOf($set);
        self::assertSame(1, $redis->incr('n'));
        $topology = $redis->topology();
        $seen = self::seen($topology);
        self::assertSame(['sentinel', 'mymaster'], [$topology['mode'], $topology['service']], $seen);
        self::assertSame($set->nodes->primary()->address(), $topology['primary'], $seen);
        self::assertEqualsCanonicalizing(self::addresses($set), $topology['sentinels'], $seen);
        $this->waitUntilCopied($set, 'n', '1');

        $promotion = $set->watchForPromotion();
        usleep(100_000);
        $set->nodes->primary()->kill();
        // The machine of the primary often takes a Sentinel with it.
        $set->sentinels[0]->kill();
        self::assertSame(2, $redis->incr('n'));
        $answered = Wait::now();
        self::assertSame(0, $promotion->wait(), $promotion->errors());
        $late = $answered - (float) $promotion->output();
        self::assertLessThan(self::SOON, $late, 'seconds from the promotion to the first write');
        self::assertSame('2', $set->promoted()->connect()->command('GET', 'n'));
        self::assertSame($set->promoted()->address(), $redis->topology()['primary']);
        self::assertSame(['failover.started', 'failover.completed'], $this->events);

        ResilientRedis::resetPools();
        self::assertSame(3, $this->clientOf($set)->incr('n'), 'a new process finds it, too');
    }

    public function test_a_failover_by_plan_is_hardly_noticed(): void
    {
        $set = $this->sentinelSet();
        $redis = $this->clientOf($set, ['update_sentinels' => false]);
        self::assertSame(1, $redis->incr('n'));
        $this->waitUntilCopied($set, 'n', '1');
        $set->sentinels[0]->command('SENTINEL', 'FAILOVER', SentinelSet::SERVICE);
        [$last, $unknown, $longest, $promoted] = [1, 0, 0.0, $set->nodes->primary()->address()];
        $end = Wait::now() + 15.0;
        while ($promoted === $set->nodes->primary()->address() && Wait::now() < $end) {
            $start = Wait::now();
            try {
                $reply = $redis->incr('n');
                self::assertLessThanOrEqual($last + 1, $reply, 'no increment is applied twice');
                $last = $reply;
            } catch (OutcomeUnknown) {
                // The sentinels have the old primary close its connections; what was in flight may have been applied.
                $unknown++;
                $last++;
            }
            $longest = max($longest, Wait::now() - $start);
            $promoted = $redis->topology()['primary'];
            usleep(1_000);
        }
        self::assertSame($set->promoted()->address(), $promoted, 'all sentinels: ' . $set->sentinels[0]->log());
        self::assertLessThan(self::SOON, $longest, 'seconds of the longest command');
        self::assertLessThanOrEqual(1, $unknown);
    }

    public function test_passwords_of_sentinels_and_nodes_are_kept_apart_and_nodes_may_be_known_by_name(): void
    {
        $sentinel = ['requirepass watch', 'sentinel sentinel-pass watch', 'user app on >eye +@all'];
        $names = ['sentinel resolve-hostnames yes', 'sentinel announce-hostnames yes'];
        // The name may lead to either loopback address, where there are two.
        $set = $this->sentinelSet(['requirepass' => 'data', 'bind' => '127.0.0.1 -::1'], [...$sentinel, ...$names], 'watch', 'localhost');
        $named = (array) $set->sentinels[0]->command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster');
        self::assertSame('localhost', $named[0]);
        $address = 'localhost:' . $set->sentinels[1]->port;
        $parameters = ['parameters' => ['password' => 'data', 'database' => 3]];
        foreach (["redis://:watch@$address", "redis://app:eye@$address"] as $uri) {
            $redis = new ResilientRedis($uri, $this->options($parameters));
            self::assertSame('OK', $redis->set('k', 'v'));
        }
        $set->nodes->primary()->command('SELECT', 3);
        self::assertSame('v', $set->nodes->primary()->command('GET', 'k'));

        ResilientRedis::resetPools();
        $redis = new ResilientRedis("redis://:data@$address", $this->options($parameters));
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->get('k'));
        self::assertStringContainsString('a Sentinel would not let us in', $exception->getMessage());
        self::assertSame('auth', $exception->getPhase());
        $redis = new ResilientRedis("redis://:watch@$address", $this->options(['parameters' => ['password' => 'watch']]));
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->get('k'));
        self::assertStringContainsString('WRONGPASS', $exception->getMessage());
    }

    public function test_an_endpoint_that_turns_out_to_be_a_sentinel_leads_to_the_only_service(): void
    {
        $primary = $this->server();
        $sentinel = $this->lone(["sentinel monitor orders 127.0.0.1 $primary->port 1"]);
        $redis = new ResilientRedis($sentinel->endpoint());
        self::assertSame('OK', $redis->set('k', 'v'));
        self::assertSame('v', $primary->command('GET', 'k'));
        self::assertSame('orders', $redis->topology()['service']);

        $sentinel->command('SENTINEL', 'MONITOR', 'sessions', '127.0.0.1', $primary->port, 1);
        ResilientRedis::resetPools();
        $redis = new ResilientRedis($sentinel->endpoint());
        $exception = self::thrown(NotSupportedException::class, static fn () => $redis->get('k'));
        self::assertStringContainsString('orders', $exception->getMessage());
        self::assertStringContainsString('sessions', $exception->getMessage());
        $redis = new ResilientRedis($sentinel->endpoint(), ['service' => 'sessions']);
        self::assertSame('v', $redis->get('k'));

        $redis = new ResilientRedis($sentinel->endpoint(), ['replication' => 'redis-sentinel', 'service' => 'other']);
        $exception = self::thrown(NotSupportedException::class, static fn () => $redis->get('k'));
        self::assertStringContainsString("knows no service 'other'", $exception->getMessage());
    }

    public function test_a_plain_server_that_was_called_a_sentinel_serves(): void
    {
        $redis = new ResilientRedis(self::shared()->endpoint(), $this->options());
        self::assertSame('OK', $redis->set('k', 'v'));
        self::assertSame('standalone', $redis->topology()['mode']);
    }

    public function test_sentinels_out_of_reach_end_with_the_deadline(): void
    {
        $sentinel = $this->lone([]);
        $sentinel->kill();
        $redis = new ResilientRedis([$sentinel->endpoint()], $this->options(['command_timeout' => 0.3]));
        $start = Wait::now();
        $exception = self::thrown(ConnectionException::class, static fn () => $redis->get('k'));
        self::assertEqualsWithDelta(0.3, Wait::now() - $start, 0.3);
        self::assertStringContainsString('no Sentinel tells where the primary is', $exception->getMessage());
        self::assertSame($sentinel->address(), $exception->getNode());
    }

    public function test_replication_by_sentinels_needs_a_service(): void
    {
        $new = static fn () => new ResilientRedis('tcp://127.0.0.1:1', ['replication' => 'sentinel']);
        $exception = self::thrown(ConfigurationException::class, $new);
        self::assertStringContainsString('`service`', $exception->getMessage());
    }

    /**
     * @param array<string, string> $nodes
     * @param list<string> $sentinels
     */
    private function sentinelSet(array $nodes = [], array $sentinels = [], ?string $password = null, string $host = '127.0.0.1'): SentinelSet
    {
        return $this->stoppedAtTheEnd(SentinelSet::start($nodes, $sentinels, $password, $host));
    }

    /** @param list<string> $directives */
    private function lone(array $directives): Sentinel
    {
        $sentinel = Sentinel::start($directives);
        $this->stoppedAtTheEnd(new class($sentinel) {
            public function __construct(private readonly Sentinel $sentinel)
            {
            }

            public function stop(): void
            {
                $this->sentinel->kill();
            }
        });

        return $sentinel;
    }

    /** @param array<string, mixed> $options */
    private function clientOf(SentinelSet $set, array $options = []): ResilientRedis
    {
        $this->events = [];
        $redis = new ResilientRedis($set->endpoints(), $this->options($options));
        $redis->onEvent(function (string $event): void {
            $this->events[] = $event;
        });

        return $redis;
    }

    /**
     * @param array<string, mixed> $more
     * @return array<string, mixed>
     */
    private function options(array $more = []): array
    {
        return $more + ['replication' => 'sentinel', 'service' => SentinelSet::SERVICE, 'command_timeout' => 10.0];
    }

    /** @return list<string> */
    private static function addresses(SentinelSet $set): array
    {
        return array_map(static fn (Sentinel $sentinel): string => $sentinel->address(), $set->sentinels);
    }

    private function waitUntilCopied(SentinelSet $set, string $key, string $value): void
    {
        foreach ([0, 1] as $number) {
            Wait::until('the replicas have the data', static fn (): bool => $set->nodes->replica($number)->command('GET', $key) === $value);
        }
    }
}
