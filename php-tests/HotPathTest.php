<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\Scratch;

/** What a command costs while nothing is wrong: counted, not timed. */
final class HotPathTest extends RedisTestCase
{
    private const FEW = 100;
    private const MANY = 1100;

    /** @return iterable<string, array{string, string ...}> */
    public static function commands(): iterable
    {
        yield 'GET' => ['get', 'key'];
        yield 'SET' => ['set', 'key', 'value'];
        yield 'INCR' => ['incr', 'number'];
        yield 'HGETALL' => ['hgetall', 'hash'];
    }

    /** @dataProvider commands */
    public function test_a_command_costs_one_send_and_one_receive_and_no_other_system_call(string ...$command): void
    {
        $server = self::shared();
        $few = $this->systemCalls(self::FEW, $server, [], ...$command);
        $many = $this->systemCalls(self::MANY, $server, [], ...$command);
        $more = self::difference($few, $many);
        $expected = self::MANY - self::FEW;
        $seen = self::seen(['few' => $few, 'many' => $many]);
        self::assertSame($expected, $more['sendto'] ?? 0, $seen);
        // Once in a while a reply is late by more than the socket's patience on a busy machine.
        self::assertEqualsWithDelta($expected, $more['recvfrom'] ?? 0, 3, $seen);
        unset($more['sendto'], $more['recvfrom']);
        self::assertLessThanOrEqual(20, array_sum(array_filter($more, static fn (int $n): bool => $n > 0)), "besides: $seen");
    }

    public function test_a_write_costs_no_more_where_it_carries_a_question_about_the_replicas(): void
    {
        $primary = $this->replicaSet(1)->primary();
        $few = $this->systemCalls(self::FEW, $primary, [], 'set', 'key', 'value');
        $asked = $primary->calls('ROLE');
        $many = $this->systemCalls(self::MANY, $primary, [], 'set', 'key', 'value');
        self::assertGreaterThan(0, $primary->calls('ROLE') - $asked, 'a question rode');
        $more = self::difference($few, $many);
        $expected = self::MANY - self::FEW;
        $seen = self::seen(['few' => $few, 'many' => $many]);
        self::assertSame($expected, $more['sendto'] ?? 0, $seen);
        self::assertEqualsWithDelta($expected, $more['recvfrom'] ?? 0, 3, $seen);
    }

    public function test_a_thousand_reads_are_a_thousand_commands_on_the_server(): void
    {
        $set = $this->replicaSet();
        $redis = new \ResilientRedis($set->endpoints());
        $redis->set('key', 'value');
        $before = $set->primary()->counters();
        for ($i = 0; $i < 1000; $i++) {
            $redis->get('key');
        }
        $spent = $set->primary()->counters()->since($before);
        // The replicas report to their primary once a second, and that counts as a command, too.
        self::assertSame([0, 1000], [$spent->connections, $set->primary()->calls('get')], self::seen($spent));
    }

    public function test_a_read_from_replicas_costs_one_send_and_one_receive_as_well(): void
    {
        $set = $this->replicaSet();
        $options = ['read_from' => 'replica'];
        $few = $this->systemCalls(self::FEW, $set->primary(), $options, 'get', 'key');
        $many = $this->systemCalls(self::MANY, $set->primary(), $options, 'get', 'key');
        $more = self::difference($few, $many);
        $expected = self::MANY - self::FEW;
        $seen = self::seen(['few' => $few, 'many' => $many]);
        // The questions for the replicas' standing come every 2 s.
        self::assertEqualsWithDelta($expected, $more['sendto'] ?? 0, 12, $seen);
        self::assertEqualsWithDelta($expected, $more['recvfrom'] ?? 0, 24, $seen);
    }

    /**
     * How often a fresh PHP process makes each system call, by strace's count.
     *
     * @param array<string, mixed> $options
     * @return array<string, int>
     */
    private function systemCalls(int $times, RedisServer $server, array $options, string ...$command): array
    {
        $report = Scratch::folder('strace') . '/report';
        $program = Extension::php(__DIR__ . '/Fixtures/repeat.php', [], (string) $times, $server->endpoint(), (string) json_encode((object) $options), ...$command);
        $process = new Process(['strace', '-f', '-c', '-o', $report, ...$program]);
        self::assertSame(0, $process->wait(), $process->errors());
        $calls = [];
        foreach (file($report) ?: [] as $line) {
            $fields = preg_split('/\s+/', trim($line)) ?: [];
            if (is_numeric($fields[0]) && end($fields) !== 'total') {
                $calls[end($fields)] = (int) $fields[3];
            }
        }
        self::assertNotEmpty($calls, (string) file_get_contents($report));

        return $calls;
    }

    /**
     * @param array<string, int> $few
     * @param array<string, int> $many
     * @return array<string, int>
     */
    private static function difference(array $few, array $many): array
    {
        $more = [];
        foreach ($many as $call => $count) {
            $more[$call] = $count - ($few[$call] ?? 0);
        }

        return $more;
    }
}
