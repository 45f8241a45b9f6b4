<?php

declare(strict_types=1);

namespace Tests;

use Tests\Support\Extension;
use Tests\Support\LambdaRuntimeApi;
use Tests\Support\Ports;
use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\Scratch;
use Tests\Support\Wait;

/** The sample application of bref/app in a sandbox: invoked through a Runtime API, and frozen between two invocations. */
final class LambdaTest extends RedisTestCase
{
    private const APPLICATION = __DIR__ . '/../bref/app';

    /** How long a sandbox is frozen. */
    private const FREEZE = 3;

    private LambdaRuntimeApi $api;

    private ?Process $sandbox = null;

    protected function setUp(): void
    {
        parent::setUp();
        $this->api = $this->stoppedAtTheEnd(new LambdaRuntimeApi());
    }

    protected function tearDown(): void
    {
        $this->sandbox?->kill();
        $this->sandbox = null;
        parent::tearDown();
    }

    public function test_twenty_invocations_take_one_process_and_one_connection(): void
    {
        $server = self::shared();
        $this->start($server->port);
        $this->api->waitUntilIdle();
        $before = $server->counters();
        $pings = $server->calls('ping');
        $clients = [];
        for ($number = 1; $number <= 20; $number++) {
            self::assertSame($number, $this->invocations("session-$number"));
            $clients[] = implode(' ', array_column($server->clients(), 'id'));
        }
        self::assertSame(1, $server->counters()->since($before)->connections, 'connections, by INFO');
        self::assertCount(1, array_unique($clients), 'the same client after each invocation, by CLIENT LIST: ' . self::seen($clients));
        self::assertMatchesRegularExpression('/^\d+$/', $clients[0], 'one client');
        self::assertTrue($this->sandbox?->isRunning(), 'the process of the first invocation still runs');
        self::assertSame($pings, $server->calls('ping'), 'PINGs, with no freeze between the invocations');
        self::assertNotNull($server->command('GET', 'session:session-20'));
    }

    /** Bref's default is 1: nothing survives that belongs to a process. */
    public function test_without_BREF_LOOP_MAX_each_invocation_opens_a_connection(): void
    {
        $server = self::shared();
        $before = $server->counters();
        for ($number = 1; $number <= 3; $number++) {
            $this->start($server->port, ['BREF_LOOP_MAX' => '']);
            self::assertSame($number, $this->invocations('one'));
            self::assertSame(0, $this->sandbox?->wait(), 'the process ends after its invocation');
        }
        self::assertSame(3, $server->counters()->since($before)->connections);
    }

    public function test_a_connection_that_the_server_closed_during_a_freeze_is_replaced(): void
    {
        $server = self::shared();
        $this->start($server->port);
        self::assertSame(1, $this->invocations('before'));
        $before = $server->counters();
        $this->frozen(static fn () => self::assertSame(1, $server->command('CLIENT', 'KILL', 'TYPE', 'normal')));
        self::assertSame(2, $this->invocations('after'), 'the increment is applied once');
        self::assertSame(1, $server->counters()->since($before)->connections);
        self::assertSame(3, $this->invocations('later'));
        self::assertSame(1, $server->counters()->since($before)->connections, 'and kept');
    }

    public function test_a_primary_that_died_during_a_freeze_is_replaced_by_the_promoted_replica_to_which_the_name_has_moved(): void
    {
        [$old, $new] = $this->pair();
        $hosts = $this->startWithName($old);
        self::assertSame(1, $this->invocations('before'));
        $this->frozen(static function () use ($old, $new, $hosts): void {
            self::waitForCopy($new);
            $old->kill();
            $new->promote();
            self::point($hosts, $new);
        });
        self::assertSame(2, $this->invocations('after'));
        self::assertSame(3, $this->invocations('later'));
        self::assertSame('3', $new->command('GET', 'lambda_invocations'));
    }

    public function test_a_primary_that_became_a_replica_during_a_freeze_is_left_for_the_promoted_one(): void
    {
        [$old, $new] = $this->pair();
        $hosts = $this->startWithName($old);
        self::assertSame(1, $this->invocations('before'));
        $this->frozen(static function () use ($old, $new, $hosts): void {
            self::waitForCopy($new);
            $new->promote();
            $old->replicaOf($new);
            self::point($hosts, $new);
        });
        self::assertSame(2, $this->invocations('after'));
        self::assertSame('2', $new->command('GET', 'lambda_invocations'));
        self::assertSame('master', $new->role());
    }

    /** Lambda's monotonic clock may stand still with the process. */
    public function test_a_freeze_that_only_the_wall_clock_has_seen_has_the_connection_asked_once(): void
    {
        $server = self::shared();
        $clock = $this->wallClock();
        $this->start($server->port, $clock);
        self::assertSame(1, $this->invocations('before'));
        self::assertSame(2, $this->invocations('at once'));
        $before = $server->counters();
        $pings = $server->calls('ping');
        $this->api->waitUntilIdle();
        file_put_contents($clock['WALL_CLOCK_AHEAD'], '60');
        self::assertSame(3, $this->invocations('after'));
        self::assertSame($pings + 1, $server->calls('ping'), 'PINGs after the freeze');
        self::assertSame(4, $this->invocations('later'));
        self::assertSame($pings + 1, $server->calls('ping'), 'PINGs later');
        self::assertSame(0, $server->counters()->since($before)->connections);
    }

    /** What serverless.yml gives to the function. */
    private static function loopMax(): string
    {
        preg_match('/^ +BREF_LOOP_MAX: (\d+)$/m', (string) file_get_contents(self::APPLICATION . '/serverless.yml'), $found);

        return $found[1] ?? throw new \RuntimeException('serverless.yml sets no BREF_LOOP_MAX');
    }

    public function test_the_handler_of_the_sample_application_is_the_program_of_the_document(): void
    {
        $program = (string) file_get_contents(__DIR__ . '/../examples/document/lambda.php');
        $handler = (string) file_get_contents(self::APPLICATION . '/handler.php');
        self::assertSame(preg_replace('/\?>\n$/', "return \$handler;\n", $program), $handler);
    }

    /** Invokes the function, which succeeds; the number of invocations that it has counted. */
    private function invocations(string $session): int
    {
        [$outcome, $answer] = $this->api->invoke(['sessionId' => $session]);
        $seen = self::seen($answer) . $this->sandbox?->errors();
        self::assertSame(['response', 200], [$outcome, $answer['statusCode'] ?? null], $seen);

        return json_decode($answer['body'], true)['current_invocation_count'];
    }

    /** Freezes the sandbox, as Lambda does between two invocations, for some seconds in which something happens. */
    private function frozen(\Closure $meanwhile): void
    {
        $this->api->waitUntilIdle();
        assert($this->sandbox !== null);
        $pid = $this->sandbox->pid();
        $start = Wait::now();
        $this->sandbox->signal(SIGSTOP);
        try {
            Wait::until('the sandbox stands still', static fn (): bool => str_contains((string) file_get_contents("/proc/$pid/stat"), ') T '));
            $meanwhile();
            usleep((int) max(0, 1e6 * (self::FREEZE - (Wait::now() - $start))));
        } finally {
            $this->sandbox->signal(SIGCONT);
        }
    }

    /** @param array<string, string> $environment */
    private function start(int $port, array $environment = [], string $host = '127.0.0.1', string ...$around): void
    {
        $ini = parse_ini_file(self::APPLICATION . '/php/conf.d/resilient_redis.ini') + ['error_log' => '', 'log_errors' => '1'];
        $command = [...array_values($around), ...Extension::php(__DIR__ . '/Fixtures/function-runtime.php', $ini)];
        $this->sandbox = new Process($command, $environment + [
            'AWS_LAMBDA_RUNTIME_API' => $this->api->address(),
            'LAMBDA_TASK_ROOT' => self::APPLICATION,
            '_HANDLER' => 'handler.php',
            'BREF_LOOP_MAX' => self::loopMax(),
            'REDIS_ENDPOINT' => $host,
            'REDIS_PORT' => (string) $port,
        ]);
    }

    /**
     * What gives a process a wall clock of its own, which a file puts ahead.
     *
     * @return array<string, string>
     */
    private function wallClock(): array
    {
        $folder = Scratch::folder('wall-clock');
        $build = Process::run(['cc', '-shared', '-fPIC', '-o', "$folder/clock.so", __DIR__ . '/Fixtures/wall-clock.c', '-ldl']);
        self::assertSame(0, $build->wait(), $build->errors());
        file_put_contents("$folder/ahead", '0');

        return ['LD_PRELOAD' => "$folder/clock.so", 'WALL_CLOCK_AHEAD' => "$folder/ahead"];
    }

    /**
     * A primary and a replica with one port, as two nodes behind a name have it.
     *
     * @return array{RedisServer, RedisServer}
     */
    private function pair(): array
    {
        $port = Ports::free();
        $primary = $this->stoppedAtTheEnd(RedisServer::start([], '127.0.0.2', $port));
        $replica = $this->stoppedAtTheEnd(RedisServer::start(['replicaof' => "127.0.0.2 $port"], '127.0.0.3', $port));
        $replica->waitUntilLinked();

        return [$primary, $replica];
    }

    private static function waitForCopy(RedisServer $replica): void
    {
        Wait::until('the replica has a copy', static fn (): bool => $replica->command('GET', 'lambda_invocations') === '1');
    }

    /** Starts a sandbox that knows the primary by name; the file that says where the name leads. */
    private function startWithName(RedisServer $primary): string
    {
        $hosts = Scratch::folder('hosts') . '/hosts';
        self::point($hosts, $primary);
        // With a file of its own in the place of the system's.
        $own = 'mount --bind "$0" /etc/hosts && exec "$@"';
        $user = posix_geteuid() === 0 ? [] : ['--map-root-user'];
        $this->start($primary->port, [], 'primary.test', 'unshare', '--mount', ...[...$user, 'sh', '-c', $own, $hosts]);

        return $hosts;
    }

    private static function point(string $hosts, RedisServer $node): void
    {
        file_put_contents($hosts, "$node->host primary.test\n");
    }
}
