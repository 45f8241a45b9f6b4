<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\Extension;
use Tests\Support\Ports;
use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

/** The two programs in examples/document: written for Predis, with nothing but their `use` lines changed. */
final class DocumentTest extends RedisTestCase
{
    private const PROGRAMS = __DIR__ . '/../examples/document';

    /** The programs as they stand contain nothing but what a Predis program contains. */
    public function test_the_programs_differ_from_predis_programs_only_in_their_use_lines(): void
    {
        foreach (['primary.php', 'lambda.php'] as $program) {
            $text = (string) file_get_contents(self::PROGRAMS . "/$program");
            preg_match_all('/^use .*$/m', $text, $uses);
            self::assertSame(['use ResilientRedis as Client;', 'use ResilientRedis\ConnectionException;'], $uses[0], $program);
            self::assertSame(2, substr_count($text, 'ResilientRedis'), "$program names the extension elsewhere");
        }
    }

    public function test_the_first_program_sets_and_gets(): void
    {
        $run = $this->program('primary.php', self::shared()->port);
        self::assertSame("Set 'mykey' successfully.\nGot 'mykey': myvalue\n", $run->output(), $run->errors());
        self::assertStringContainsString('Successfully connected to Redis.', $run->errors());
        self::assertSame('myvalue', self::shared()->command('GET', 'mykey'));
        self::assertEqualsWithDelta(60, self::shared()->command('TTL', 'mykey'), 2);
    }

    public function test_the_first_program_with_nobody_there_reaches_its_catch_block(): void
    {
        $start = Wait::now();
        $run = $this->program('primary.php', Ports::free());
        self::assertSame("Could not establish Redis connection.\n", $run->output(), $run->errors());
        self::assertStringContainsString('Failed to connect to Redis: ', $run->errors());
        self::assertLessThan(2.5, Wait::now() - $start, 'seconds, with a command_timeout of 1');
    }

    public function test_the_first_program_works_on_a_primary_with_replicas(): void
    {
        $set = $this->replicaSet();
        $run = $this->program('primary.php', $set->primary()->port);
        self::assertStringContainsString("Got 'mykey': myvalue", $run->output(), $run->errors());
    }

    public function test_the_handler_counts_its_invocations_and_keeps_its_connection(): void
    {
        $answers = $this->invoke(self::shared(), [['sessionId' => 'abc123'], ['sessionId' => 'def456'], []]);
        self::assertSame([200, 200, 200], array_column($answers, 'statusCode'), self::seen($answers));
        $bodies = array_map(static fn (array $answer): array => json_decode($answer['body'], true), $answers);
        self::assertSame([1, 2, 3], array_column($bodies, 'current_invocation_count'));
        self::assertSame(['session:abc123', 'session:def456', 'session:default_session'], array_column($bodies, 'session_key'));
        self::assertSame('testuser', json_decode((string) self::shared()->command('GET', 'session:abc123'), true)['user']);
        self::assertEqualsWithDelta(3600, self::shared()->command('TTL', 'session:abc123'), 5);
    }

    public function test_the_handler_goes_on_through_a_failover(): void
    {
        $set = $this->replicaSet(1);
        $process = $this->handler($set->primary()->port);
        $process->write("{\"sessionId\":\"one\"}\n");
        self::assertSame(200, $this->answer($process)['statusCode']);
        $set->primary()->kill();
        $set->promote($set->replica());
        $process->write("{\"sessionId\":\"two\"}\n");
        $answer = $this->answer($process);
        self::assertSame(200, $answer['statusCode'], self::seen($answer));
        self::assertNotNull($set->replica()->command('GET', 'session:two'));
        $process->stop();
    }

    public function test_the_handler_with_nobody_there_answers_500(): void
    {
        $process = $this->handler(Ports::free());
        $process->write("{}\n");
        $answer = $this->answer($process);
        self::assertSame([500, '{"message":"Failed to connect to Redis"}'], [$answer['statusCode'], $answer['body']]);
        self::assertStringContainsString('Failed to initialize Redis client: ', $process->errors());
        $process->stop();
    }

    public function test_the_handler_whose_server_goes_away_answers_503_and_recovers(): void
    {
        $server = $this->server();
        $process = $this->handler($server->port);
        $process->write("{}\n");
        self::assertSame(200, $this->answer($process)['statusCode']);
        $server->kill();
        $process->write("{}\n");
        $answer = $this->answer($process);
        self::assertSame([503, '{"message":"Redis temporarily unavailable"}'], [$answer['statusCode'], $answer['body']]);
        $server->restart();
        $process->write("{}\n");
        self::assertSame(200, $this->answer($process)['statusCode']);
        $process->stop();
    }

    private function program(string $program, int $port): Process
    {
        return Process::run(
            Extension::php(self::PROGRAMS . "/$program", ['resilient_redis.command_timeout' => '1', 'error_log' => '', 'log_errors' => '1']),
            ['REDIS_ENDPOINT' => '127.0.0.1', 'REDIS_PORT' => (string) $port],
        );
    }

    /**
     * @param list<array<string, mixed>> $events
     * @return list<array<string, mixed>>
     */
    private function invoke(RedisServer $server, array $events): array
    {
        $process = $this->handler($server->port);
        $before = $server->counters();
        $answers = [];
        foreach ($events as $event) {
            $process->write(json_encode($event, JSON_THROW_ON_ERROR) . "\n");
            $answers[] = $this->answer($process);
        }
        self::assertLessThanOrEqual(1, $server->counters()->since($before)->connections, 'connections for all invocations');
        $process->stop();

        return $answers;
    }

    /** A sandbox that is invoked again and again: it reads an event a line and writes an answer a line. */
    private function handler(int $port): Process
    {
        return new Process(
            Extension::php(__DIR__ . '/Fixtures/invocations.php', ['resilient_redis.command_timeout' => '1', 'error_log' => '', 'log_errors' => '1']),
            ['REDIS_ENDPOINT' => '127.0.0.1', 'REDIS_PORT' => (string) $port],
        );
    }

    /** @return array<string, mixed> */
    private function answer(Process $process): array
    {
        $lines = Wait::until('the handler has answered', static function () use ($process): ?array {
            if (!$process->isRunning()) {
                throw new \RuntimeException('the handler has ended: ' . $process->output() . $process->errors());
            }

            return $process->newLines() ?: null;
        });

        return json_decode($lines[0], true, 8, JSON_THROW_ON_ERROR);
    }
}
