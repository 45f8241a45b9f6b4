<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConnectionException;
use ResilientRedis\OutcomeUnknown;
use Tests\Support\ClusterTestCase;
use Tests\Support\Process;
use Tests\Support\RedisCluster;
use Tests\Support\RedisServer;
use Tests\Support\Wait;

/** A shard of a Redis Cluster loses its primary: a pause for its slots until a replica is elected, and nothing for the others. */
final class ClusterFailoverTest extends ClusterTestCase
{
    /** How long after an election a write may still take; generous, for busy machines. The laboratory holds it to 60 ms. */
    private const SOON = 0.5;

    /** @return iterable<string, array{string, int}> the fault, and how many increments may be unknown */
    public static function faults(): iterable
    {
        // Two processes each have one increment under way at most.
        yield 'killed' => ['kill', 2];
        yield 'hanging' => ['hang', 3];
    }

    /** @dataProvider faults */
    public function test_a_primary_that_is_lost_is_a_pause_of_its_own_shard_and_of_no_other(string $fault, int $mayBeUnknown): void
    {
        $cluster = $this->ownCluster();
        [$victim] = $cluster->primaries();
        [$tag, $second, $third] = self::tags($cluster);
        $hit = $this->load($cluster, 'increments', [$tag]);
        $others = $this->load($cluster, 'increments', [$second, $third]);
        $mixed = $this->load($cluster, 'increments', [$tag, $second]);
        usleep(300_000);
        $connections = $cluster->connections();

        $watch = $cluster->watchForElection($victim);
        usleep(100_000);
        $began = Wait::now();
        $fault === 'kill' ? $victim->kill() : $cluster->hang($victim);
        [$elected, $moment] = $cluster->waitForElection($watch);
        self::assertNotSame($victim, $elected);
        usleep(500_000);
        foreach ([$hit, $others, $mixed] as $load) {
            $load->stop();
        }
        if ($fault === 'hang') {
            $cluster->wake($victim);
        }
        $this->told('first write after the election', 1e3 * $hit->firstSuccessAfter($moment));
        $this->told('p99 of other shards', 1e3 * $others->percentile99($began));

        foreach (['the shard' => $hit, 'other shards' => $others, 'both' => $mixed] as $name => $load) {
            self::assertSame([], $load->failures('failed', 'wrong'), $name);
        }
        self::assertSame([], $others->failures(), 'other shards');
        self::assertLessThanOrEqual($mayBeUnknown, $hit->unknown() + $mixed->unknown(), self::seen([...$hit->failures(), ...$mixed->failures()]));
        self::assertLessThan(self::SOON, $hit->firstSuccessAfter($moment), 'seconds from the election to the first write');
        self::assertLessThan(self::SOON, $mixed->firstSuccessAfter($moment), 'seconds from the election to the first write');
        self::assertLessThan(0.2, $others->percentile99($began), 'seconds, of other shards');
        $this->assertCounted($elected, "{{$tag}}n", $hit->ok() + intdiv($mixed->ok(), 2), $mayBeUnknown);
        $this->assertFewDials($cluster, $connections);
    }

    /** @dataProvider faults */
    public function test_all_kinds_of_use_go_on_at_the_elected_node(string $fault): void
    {
        $cluster = $this->ownCluster();
        [$victim] = $cluster->primaries();
        [$tag] = self::tags($cluster);
        // What cannot be sent twice is unknown if it was under way; the others go on by themselves.
        $load = $this->load($cluster, 'everything', [$tag]);
        $watch = $cluster->watchForElection($victim);
        usleep(100_000);
        $fault === 'kill' ? $victim->kill() : $cluster->hang($victim);
        $cluster->waitForElection($watch);
        usleep(500_000);
        $load->stop();
        self::assertSame([], $load->failures('failed', 'wrong'));
        self::assertLessThanOrEqual(1, $load->unknown(), self::seen($load->failures()));
    }

    public function test_where_the_whole_cluster_stops_it_is_waited_for(): void
    {
        $cluster = $this->ownCluster(3, 1, ['cluster-require-full-coverage' => 'yes']);
        [$victim] = $cluster->primaries();
        $load = $this->load($cluster, 'increments', self::tags($cluster));
        $watch = $cluster->watchForElection($victim);
        usleep(100_000);
        $victim->kill();
        $cluster->waitForElection($watch);
        usleep(500_000);
        $load->stop();
        self::assertSame([], $load->failures('failed', 'wrong'));
        self::assertLessThanOrEqual(1, $load->unknown());
    }

    /** @dataProvider protocols */
    public function test_a_pipeline_over_all_shards_waits_for_the_one_without_a_primary(int $protocol): void
    {
        $cluster = $this->ownCluster();
        $redis = self::clientOf($cluster, ['protocol' => $protocol, 'command_timeout' => 8.0]);
        $tags = self::tags($cluster);
        $collect = static function (string $value) use ($redis, $tags): array {
            $pipeline = $redis->pipeline();
            for ($i = 0; $i < 300; $i++) {
                $pipeline->set("{{$tags[$i % 3]}}k$i", "$value$i");
            }
            for ($i = 0; $i < 300; $i++) {
                $pipeline->get("{{$tags[$i % 3]}}k$i");
            }

            return $pipeline->execute();
        };
        $collect('a');
        $cluster->primaries()[0]->kill();
        $replies = $collect('b');
        self::assertSame(array_fill(0, 300, 'OK'), array_slice($replies, 0, 300));
        self::assertSame(array_map(static fn (int $i): string => "b$i", range(0, 299)), array_slice($replies, 300));
    }

    /** @dataProvider protocols */
    public function test_the_other_shards_are_done_with_their_parts_of_a_pipeline_while_one_hangs(int $protocol): void
    {
        $cluster = $this->ownCluster(3, 0);
        $redis = self::clientOf($cluster, ['protocol' => $protocol, 'command_timeout' => 8.0]);
        $tags = self::tags($cluster);
        foreach ($tags as $tag) {
            $redis->set("{{$tag}}k", '1');
        }
        $pipeline = $redis->pipeline();
        // More than the kernel takes for a server that does not read.
        foreach ($tags as $tag) {
            $pipeline->set("{{$tag}}large", str_repeat('v', 5_000_000));
        }
        for ($i = 0; $i < 100; $i++) {
            foreach ($tags as $tag) {
                $pipeline->set("{{$tag}}k$i", "v$i");
            }
        }
        foreach ($tags as $tag) {
            $pipeline->eval("return redis.call('TIME')", 1, "{{$tag}}k");
        }
        $victim = $cluster->primaries()[0];
        $cluster->hang($victim);
        $wakes = new Process(['sh', '-c', "sleep 1; kill -CONT {$victim->pid()}"]);
        $start = microtime(true);
        $replies = $pipeline->execute();
        $elapsed = microtime(true) - $start;
        $wakes->wait();
        $cluster->wake($victim);
        self::assertSame(array_fill(0, 303, 'OK'), array_slice($replies, 0, 303));
        self::assertGreaterThan(0.9, $elapsed, 'seconds, for all of it');
        $after = array_map(static fn (array $time): float => $time[0] + $time[1] / 1e6 - $start, array_slice($replies, 303));
        self::assertLessThan(0.7, max($after[1], $after[2]), 'seconds, at the others: ' . json_encode($after));
    }

    /** @dataProvider protocols */
    public function test_of_each_command_of_a_pipeline_is_told_what_is_known_where_one_shard_hangs(int $protocol): void
    {
        $cluster = $this->ownCluster(3, 0);
        $redis = self::clientOf($cluster, ['protocol' => $protocol, 'command_timeout' => 1.0]);
        [$lost, $second, $third] = self::tags($cluster);
        $redis->mset(["{{$lost}}n" => '5', "{{$second}}n" => '6', "{{$third}}n" => '7']);
        $victim = $cluster->primaries()[0];
        $cluster->hang($victim);
        $pipeline = static fn (): array => $redis->pipeline()->incr("{{$second}}n")->incr("{{$lost}}n")->incr("{{$third}}n")
            ->mset(["{{$second}}m" => '1', "{{$lost}}m" => '1'])->get("{{$second}}m")->dbsize()->execute();
        $exception = self::thrown(ConnectionException::class, $pipeline);
        $cluster->wake($victim);
        self::assertInstanceOf(OutcomeUnknown::class, $exception, 'what was sent may be done when it goes on');
        self::assertSame(1, $exception->getIndex(), 'the first that has no reply');
        $known = array_filter((array) $exception->getReplies(), static fn (mixed $reply): bool => $reply !== null);
        self::assertSame([0 => 7, 2 => 8, 4 => '1'], $known, 'the replies of the others are there');
        self::assertStringContainsString('1 of the 2 parts of MSET, command 4, had been done', $exception->getMessage());
        $cluster->waitUntilWhole();
        self::assertSame(['7', '8'], [$redis->get("{{$second}}n"), $redis->get("{{$third}}n")], 'each once');
    }

    public function test_without_a_replica_the_deadline_ends_what_is_of_the_lost_slots_and_only_that(): void
    {
        $cluster = $this->ownCluster(3, 0);
        $redis = self::clientOf($cluster, ['command_timeout' => 1.0]);
        [$tag, $second, $third] = self::tags($cluster);
        $redis->mset(["{{$tag}}k" => '1', "{{$second}}k" => '2', "{{$third}}k" => '3']);
        $cluster->primaries()[0]->kill();
        $start = Wait::now();
        self::thrown(ConnectionException::class, static fn () => $redis->get("{{$tag}}k"));
        self::assertEqualsWithDelta(1.0, Wait::now() - $start, 0.5);
        $start = Wait::now();
        self::assertSame(['2', '3'], [$redis->get("{{$second}}k"), $redis->get("{{$third}}k")]);
        self::assertLessThan(0.2, Wait::now() - $start, 'seconds, of other shards');
        $pipeline = static fn (): array => $redis->pipeline()->get("{{$second}}k")->get("{{$tag}}k")->get("{{$third}}k")->execute();
        $exception = self::thrown(ConnectionException::class, $pipeline);
        self::assertSame(1, $exception->getIndex(), 'the first that has no reply');
        self::assertSame([0 => '2', 2 => '3'], array_filter((array) $exception->getReplies(), is_string(...)), 'the replies of the others are there');
    }

    public function test_a_planned_failover_is_not_noticed(): void
    {
        $cluster = $this->ownCluster();
        [$primary] = $cluster->primaries();
        [$tag] = self::tags($cluster);
        $load = $this->load($cluster, 'everything', [$tag]);
        $counter = $this->load($cluster, 'increments', [$tag]);
        for ($i = 0; $i < 2; $i++) {
            $replica = $cluster->replicaOf($primary);
            $replica->command('CLUSTER', 'FAILOVER');
            Wait::until('the replica is the primary', static fn (): bool => $replica->role() === 'master');
            $cluster->waitUntilWhole();
            $primary = $replica;
        }
        $load->stop();
        $counter->stop();
        self::assertSame([], $load->failures());
        self::assertSame([], $counter->failures());
        $this->assertCounted($primary, "{{$tag}}n", $counter->ok(), 0);
        self::assertLessThan(1.0, $counter->longest(), 'seconds');
    }

    public function test_what_has_happened_is_no_matter_to_new_clients_whatever_node_they_are_told(): void
    {
        $cluster = $this->ownCluster();
        [$victim] = $cluster->primaries();
        [$tag] = self::tags($cluster);
        self::clientOf($cluster)->set("{{$tag}}k", 'v');
        $watch = $cluster->watchForElection($victim);
        usleep(100_000);
        $victim->kill();
        [$elected] = $cluster->waitForElection($watch);
        ResilientRedis::resetPools();
        foreach ([[$victim->endpoint(), $cluster->endpoint(1)], $cluster->endpoint(2), $elected->endpoint()] as $parameters) {
            $redis = new ResilientRedis($parameters);
            self::assertSame('v', $redis->get("{{$tag}}k"), self::seen($parameters));
        }
        $victim->restart();
        $cluster->waitUntilWhole();
        self::assertSame('slave', $victim->role());
        self::assertSame('v', (new ResilientRedis($victim->endpoint()))->get("{{$tag}}k"), 'it is a replica now and knows the others');
    }

    /** @dataProvider protocols */
    public function test_a_loop_of_publish_and_subscribe_goes_on_at_another_node(int $protocol): void
    {
        $cluster = $this->ownCluster();
        foreach (['subscribe' => 'PUBLISH', 'ssubscribe' => 'SPUBLISH'] as $subscribe => $publish) {
            $redis = self::clientOf($cluster, ['protocol' => $protocol, 'command_timeout' => 8.0]);
            $loop = $redis->pubSubLoop([$subscribe => 'news']);
            self::assertSame($subscribe, $loop->current()->kind);
            $count = $subscribe === 'subscribe' ? 'NUMSUB' : 'SHARDNUMSUB';
            $heard = static fn (RedisServer $node): bool => ((array) $node->command('PUBSUB', $count, 'news'))[1] > 0;
            [$node] = array_values(array_filter($cluster->running(), $heard));
            $publisher = $this->stoppedAtTheEnd($this->publishing($cluster, $node, $publish));
            $node->kill();
            self::assertSame('again', $loop->current()->payload, "after $subscribe at {$node->address()}");
            $loop->stop();
            $publisher->stop();
            $node->restart();
            $cluster->waitUntilWhole();
        }
    }

    /** Publishes at all nodes but one, again and again: who subscribes anew has missed what came before. */
    private function publishing(RedisCluster $cluster, RedisServer $except, string $command): Process
    {
        $script = sprintf('require %s; $ports = array_map(intval(...), array_slice($argv, 2)); $nodes = [];'
            . 'for (;;) { foreach ($ports as $port) { try { $nodes[$port] ??= new Tests\\Support\\Resp($port); $nodes[$port]->command($argv[1], "news", "again"); }'
            . ' catch (RuntimeException) { unset($nodes[$port]); } } usleep(20_000); }', var_export(__DIR__ . '/Support/autoload.php', true));
        $others = array_filter($cluster->running(), static fn (RedisServer $node): bool => $node !== $except);

        return new Process([PHP_BINARY, '-n', '-r', $script, '--', $command, ...array_map(static fn (RedisServer $node): string => (string) $node->port, array_values($others))]);
    }

    /** Nothing was applied twice, and what was acknowledged is there, but for the little that had not reached the replica. */
    private function assertCounted(RedisServer $elected, string $key, int $acknowledged, int $unknown): void
    {
        $count = (int) $elected->connect()->command('GET', $key);
        self::assertLessThanOrEqual($acknowledged + $unknown, $count, 'increments that were applied twice');
        self::assertGreaterThanOrEqual($acknowledged - 5, $count, 'increments that are lost');
    }

    /** @param array<string, int> $before */
    private function assertFewDials(RedisCluster $cluster, array $before): void
    {
        $dials = 0;
        foreach ($cluster->connections() as $address => $count) {
            $dials += $count - ($before[$address] ?? 0);
        }
        self::assertLessThan(250, $dials, 'connections to the nodes that are left');
    }
}
