<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\FastCgi;
use Tests\Support\FpmMaster;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\ReplicaSet;
use Tests\Support\Scratch;
use Tests\Support\Wait;

/** P10: the workers of one FPM master share what one of them learns, and those of another user see nothing of it. */
final class BoardTest extends RedisTestCase
{
    private const SCRIPTS = __DIR__ . '/Fixtures/requests';

    public function test_what_one_worker_finds_the_other_knows_without_a_search(): void
    {
        $nodes = $this->nodes();
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(self::SCRIPTS, 2));
        $this->each($fpm, $nodes->primary(), 2, 'SET k v');
        $nodes->primary()->kill();
        $nodes->promote($nodes->replica());

        $before = $nodes->replica(1)->counters();
        [$one, $other] = $this->each($fpm, $nodes->primary(), 2, 'INCR n');

        self::assertSame([1, 2], [$one['outcome'], $other['outcome']]);
        self::assertSame($nodes->replica()->address(), $other['known'], 'known before its first command');
        self::assertSame([1, 0], [$one['stats']['searches'], $other['stats']['searches']]);
        self::assertSame($one['topology']['replicas'], $other['topology']['replicas']);
        $probes = $nodes->replica(1)->counters()->since($before)->connections;
        self::assertLessThanOrEqual(1, $probes, 'connections to the replica that was not promoted');
        self::assertSame(['shared' => true, 'records' => 1], array_slice($other['stats']['board'], 0, 2));
    }

    public function test_a_worker_that_starts_while_its_only_address_is_dead_finds_the_promoted_primary(): void
    {
        $nodes = $this->nodes();
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(self::SCRIPTS));
        $query = ['endpoint' => $nodes->primary()->endpoint(), 'command' => 'INCR n'];
        $first = $fpm->request('share.php', $query)->json();
        Wait::until('the replica has it', static fn (): bool => $nodes->replica()->command('GET', 'n') === '1');
        $nodes->primary()->kill();
        $nodes->promote($nodes->replica());
        $fpm->request('share.php', $query)->json();
        posix_kill($first['worker'], SIGKILL);

        $fresh = Wait::until('another worker answers', function () use ($fpm, $query, $first): ?array {
            $answer = $fpm->request('share.php', ['command' => 'GET n'] + $query)->json();

            return $answer['worker'] === $first['worker'] ? null : $answer;
        });
        self::assertSame('2', $fresh['outcome']);
        self::assertLessThan(0.1, $fresh['took']);
    }

    public function test_two_pools_of_different_users_on_one_master_cannot_see_each_others_records(): void
    {
        if (!$this->canBeRoot(posix_getuid() === 0, 'it needs root, since php-fpm starts workers of two users')) {
            return;
        }
        $server = $this->server();
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(self::SCRIPTS, 2, [], ['www-data', 'nobody']));
        [$one, $neighbour] = $this->each($fpm, $server, 2, 'PING', 'www-data');
        [$stranger] = $this->each($fpm, $server, 1, null, 'nobody');

        self::assertNotSame($one['user'], $stranger['user']);
        self::assertSame([null, $server->address()], [$one['known'], $neighbour['known']]);
        self::assertNull($stranger['known'], 'what the workers of another user have found');
        self::assertSame([true, true], [$one['stats']['board']['shared'], $stranger['stats']['board']['shared']]);

        $this->each($fpm, $server, 1, 'PING', 'nobody');
        $mapped = [$this->boardIn($one['worker']), $this->boardIn($stranger['worker'])];
        $room = (8 << 20) / 16 / 1024;
        self::assertSame([$room, $room], array_map(array_sum(...), $mapped), 'KiB of shared memory left in each');
        self::assertNotSame(array_keys($mapped[0]), array_keys($mapped[1]), 'each has its own part of it');
    }

    public function test_the_board_can_be_turned_off(): void
    {
        $server = $this->server();
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(self::SCRIPTS, 2, ['resilient_redis.board' => '0']));
        [, $other] = $this->each($fpm, $server, 2, 'PING');
        self::assertNull($other['known']);
        self::assertFalse($other['stats']['board']['shared']);
    }

    public function test_a_searching_worker_that_is_killed_does_not_hold_up_the_other(): void
    {
        $nodes = $this->nodes();
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(self::SCRIPTS, 2));
        $this->each($fpm, $nodes->primary(), 2, 'SET k v');
        $nodes->primary()->kill();

        $note = Scratch::folder('note') . '/searcher';
        $searcher = $this->send($fpm, $nodes->primary(), 'SET k w', ['note' => $note]);
        $pid = (int) Wait::until('the first worker searches', static fn () => @file_get_contents($note) ?: null);
        usleep(50_000);
        $waiter = $this->send($fpm, $nodes->primary(), 'SET k x');
        usleep(50_000);
        posix_kill($pid, SIGKILL);
        $promoted = $nodes->promote($nodes->replica());

        $answer = $waiter->response()->json();
        self::assertSame('OK', $answer['outcome']);
        self::assertNotSame($pid, $answer['worker']);
        self::assertLessThan(0.3, $answer['ended'] - $promoted, 'from the promotion to the write');
        self::assertSame(1, $answer['stats']['searches']);
        unset($searcher);
    }

    public function test_of_many_workers_one_searches_and_all_write_as_soon_as_one_is_promoted(): void
    {
        $nodes = $this->nodes();
        $workers = 12;
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(self::SCRIPTS, $workers));
        $this->each($fpm, $nodes->primary(), $workers, 'SET k v');
        $before = [$nodes->replica()->counters(), $nodes->replica(1)->counters()];
        $nodes->primary()->kill();
        $pending = array_map(fn (): FastCgi => $this->send($fpm, $nodes->primary(), 'INCR n'), range(1, $workers));
        usleep(500_000);
        $promoted = $nodes->promote($nodes->replica());

        $answers = array_map(static fn (FastCgi $request): array => $request->response()->json(), $pending);
        $outcomes = array_column($answers, 'outcome');
        sort($outcomes);
        self::assertSame(range(1, $workers), $outcomes);
        $last = max(array_column($answers, 'ended')) - $promoted;
        self::assertLessThan(0.1, $last, 'from the promotion to the last write');
        $searches = array_sum(array_map(static fn (array $answer): int => $answer['stats']['searches'], $answers));
        self::assertSame(1, $searches);
        $probes = array_map(
            static fn (RedisServer $node, $counters): int => $node->counters()->since($counters)->connections,
            [$nodes->replica(), $nodes->replica(1)],
            $before,
        );
        // The replica of a promoted node connects to it, and the searcher's own probe stays open.
        self::assertLessThanOrEqual($workers + 2, $probes[0], 'connections to the promoted node');
        self::assertLessThanOrEqual(1, $probes[1], 'connections to the other replica');
    }

    public function test_many_workers_ask_the_primary_for_its_replicas_no_more_often_than_one_would(): void
    {
        $nodes = $this->nodes();
        $workers = 4;
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(self::SCRIPTS, $workers));
        $this->each($fpm, $nodes->primary(), $workers, 'SET k v');
        $before = $nodes->primary()->calls('ROLE');
        $begun = Wait::now();
        $pending = array_map(fn (): FastCgi => $this->send($fpm, $nodes->primary(), 'SET k v', ['seconds' => 1]), range(1, $workers));
        $answers = array_map(static fn (FastCgi $request): array => $request->response()->json(), $pending);
        $most = (int) ceil((Wait::now() - $begun) / 0.05);
        self::assertCount($workers, array_unique(array_column($answers, 'worker')));
        $asked = $nodes->primary()->calls('ROLE') - $before;
        self::assertLessThanOrEqual($most, $asked);
        self::assertGreaterThanOrEqual(10, $asked);
    }

    private function nodes(): ReplicaSet
    {
        return $this->stoppedAtTheEnd(ReplicaSet::start());
    }

    /** @param array<string, string|int> $more */
    private function send(FpmMaster $fpm, RedisServer $server, ?string $command, array $more = [], ?string $user = null): FastCgi
    {
        $query = ['endpoint' => $server->endpoint()] + ($command === null ? [] : ['command' => $command]);

        return $fpm->send('share.php', $query + $more, $user);
    }

    /**
     * Each of `$workers` workers serves one request: one after the other, in the order of the answers.
     *
     * @return list<array<string, mixed>>
     */
    private function each(FpmMaster $fpm, RedisServer $server, int $workers, ?string $command, ?string $user = null): array
    {
        $pending = [];
        $folder = Scratch::folder('note');
        chmod($folder, 0777);
        for ($i = 0; $i < $workers; $i++) {
            // Held until all have one, so that each comes to another worker; begun one by one, so that they do not
            // search at the same time.
            $pending[] = $this->send($fpm, $server, $command, ['hold' => 150_000, 'note' => "$folder/$i"], $user);
            Wait::until("request $i is served", static fn (): bool => is_file("$folder/$i"));
            usleep(10_000);
        }
        $answers = array_map(static fn (FastCgi $request): array => $request->response()->json(), $pending);
        self::assertCount($workers, array_unique(array_column($answers, 'worker')), 'workers that have answered');

        return $answers;
    }

    /**
     * The parts of the board that a worker sees.
     *
     * @return array<string, float> KiB by address
     */
    private function boardIn(int $worker): array
    {
        $parts = [];
        foreach (file("/proc/$worker/maps") ?: [] as $line) {
            // Anonymous shared memory; PHP's own (opcache, the scoreboard) is larger or smaller.
            if (preg_match('/^([0-9a-f]+)-([0-9a-f]+) rw-s .* \/dev\/zero \(deleted\)$/', trim($line), $found) === 1) {
                $size = (hexdec($found[2]) - hexdec($found[1])) / 1024;
                if ((int) $size === (8 << 20) / 16 / 1024) {
                    $parts[$found[1]] = $size;
                }
            }
        }

        return $parts;
    }
}
