<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\SessionHandler;
use Tests\Support\Certificates;
use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\Scratch;

/** Secrets are in nothing that a program may log, show or keep, whether things go well or wrong. */
final class SecretsTest extends RedisTestCase
{
    /** A part of each secret of these tests, and of nothing else. */
    private const MARK = 'Hunter2';

    private const AWS = ['key' => 'AKIDEXAMPLE', 'secret' => self::MARK . '/wJalrXUtnFEMI', 'token' => self::MARK . '-session'];

    /** What was seen, by where. @var array<string, string> */
    private array $seen = [];

    private ?RedisServer $locked = null;

    protected function setUp(): void
    {
        parent::setUp();
        // As on a developer's machine: traces have arguments.
        ini_set('zend.exception_ignore_args', '0');
    }

    /** @return iterable<string, array{bool}> */
    public static function outcomes(): iterable
    {
        yield 'when it is let in' => [true];
        yield 'when it is turned away' => [false];
    }

    /** @dataProvider outcomes */
    public function test_no_way_to_look_at_a_client_shows_its_secrets(bool $letIn): void
    {
        foreach ($this->clients($letIn) as $way => $make) {
            $redis = $this->watch("$way, made", $make);
            self::assertInstanceOf(ResilientRedis::class, $redis, $this->seen["$way, made"] ?? '');
            $redis->onEvent(function (string $name, array $details) use ($way): void {
                $this->note("$way, event $name", $details);
            });
            $works = [
                'get' => static fn () => $redis->get('k'),
                'connect' => static fn () => $redis->connect(),
                'pipeline' => static fn () => $redis->pipeline(static fn ($pipe) => $pipe->get('k')),
                'transaction' => static fn () => $redis->transaction(static fn ($block) => $block->get('k')),
                'auth' => static fn () => $redis->auth('nobody', self::MARK),
                'raw auth' => static fn () => $redis->executeRaw(['AUTH', 'nobody', self::MARK]),
                'acl' => static fn () => $redis->acl('SETUSER', 'somebody', '>' . self::MARK),
                'acl of a container' => static fn () => $redis->acl->setuser('somebody', '>' . self::MARK),
                'sentinel' => static fn () => (new ResilientRedis('tcp://127.0.0.1:1', ['command_timeout' => 0.05]))->sentinel('SET', 'mymaster', 'auth-pass', self::MARK),
                'loop' => static fn () => $redis->pubSubLoop(['subscribe' => 'news']),
                'session' => static fn () => (new SessionHandler($redis))->read('id'),
                'copy' => static fn () => $redis->withOptions(['command_timeout' => 1, 'password' => self::MARK]),
            ];
            foreach ($works as $name => $work) {
                $value = $this->watch("$way, $name", $work);
                $this->note("$way, what $name gave", $value);
            }
            $this->lookAt($way, $redis);
        }
        $this->assertNothingShown();
    }

    public function test_no_message_about_a_mistake_shows_a_secret(): void
    {
        $secret = self::MARK;
        foreach ([
            'a URI with a fault' => static fn () => new ResilientRedis("redis://app:$secret@127.0.0.1:1/?timeout=abc"),
            'a raw slash' => static fn () => new ResilientRedis("redis://app:$secret/x@127.0.0.1:1"),
            'a misspelt name' => static fn () => new ResilientRedis('tcp://127.0.0.1:1', ['pasword' => $secret]),
            'three passwords' => static fn () => new ResilientRedis('tcp://127.0.0.1:1', ['password' => [$secret, $secret, $secret]]),
            'two that differ' => static fn () => new ResilientRedis(["tcp://127.0.0.1:1?password=$secret", "tcp://127.0.0.1:2?password={$secret}2"]),
            'keys for tokens' => static fn () => new ResilientRedis('tls://127.0.0.1:1', ['iam' => ['user' => 'app', 'cache' => 'c', 'credentials' => $secret]]),
            'a password beside tokens' => static fn () => new ResilientRedis("tls://app:$secret@127.0.0.1:1", ['iam' => ['user' => 'app', 'cache' => 'c']]),
            'a callable that gives nonsense' => static fn () => (new ResilientRedis(['port' => 1, 'password' => static fn () => [$secret]]))->ping(),
            'keys that are none' => static fn () => (new ResilientRedis('tls://127.0.0.1:1', ['iam' => [
                'user' => 'app', 'cache' => 'c', 'region' => 'eu-central-1', 'credentials' => static fn () => ['key' => $secret],
            ]]))->ping(),
            'a passphrase that is wrong' => fn () => new ResilientRedis('tls://127.0.0.1:1', ['ssl' => [
                'local_cert' => $this->certificates()['cert'], 'local_pk' => $this->certificates()['key'], 'passphrase' => $secret,
            ]]),
        ] as $mistake => $make) {
            $made = $this->watch($mistake, $make);
            self::assertNull($made, "$mistake was accepted");
            self::assertArrayHasKey($mistake, $this->seen);
        }
        $this->assertNothingShown();
    }

    public function test_the_log_and_the_end_of_a_program_show_no_secret(): void
    {
        $script = Scratch::folder('secrets') . '/uncaught.php';
        $secret = self::MARK;
        file_put_contents($script, <<<PHP
            <?php
            function connect(): void
            {
                \$redis = new ResilientRedis('tcp://app:$secret@127.0.0.1:1', ['command_timeout' => 0.1]);
                error_log(print_r(\$redis, true));
                \$redis->onEvent(static fn () => throw new LogicException('a listener'));
                \$redis->auth('app', '$secret');
            }
            connect();
            PHP);
        $process = Process::run(Extension::php($script, ['zend.exception_ignore_args' => '0', 'log_errors' => '1', 'display_errors' => '1']));
        $this->note('standard output', $process->output());
        $this->note('standard error', $process->errors());
        self::assertStringContainsString('TimeoutException', $process->output() . $process->errors());
        self::assertStringContainsString('connect()', $process->output() . $process->errors(), 'there is a trace');
        $this->assertNothingShown();
    }

    /** @return iterable<string, callable(): ResilientRedis> */
    private function clients(bool $letIn): iterable
    {
        $password = self::MARK . ($letIn ? '' : '-wrong');
        $server = $this->locked ??= $this->server();
        $server->command('ACL', 'SETUSER', 'app', 'reset', 'on', '>' . self::MARK, '~*', '&*', '+@all');
        $port = $server->port;
        $options = ['command_timeout' => 0.5];
        yield 'URI' => static fn () => new ResilientRedis("redis://app:$password@127.0.0.1:$port", $options);
        yield 'query' => static fn () => new ResilientRedis("tcp://127.0.0.1:$port?username=app&password=$password", $options);
        yield 'parameters' => static fn () => new ResilientRedis(['port' => $port, 'username' => 'app', 'password' => $password], $options);
        yield 'two' => static fn () => new ResilientRedis(['port' => $port, 'username' => 'app', 'password' => [self::MARK . '-new', $password]], $options);
        yield 'callable' => static fn () => new ResilientRedis(
            ['port' => $port],
            $options + ['parameters' => ['password' => static fn (): array => ['app', $password]]],
        );
        yield 'sentinels' => static fn () => new ResilientRedis(["tcp://127.0.0.1:$port?password=$password"], $options + [
            'replication' => 'sentinel', 'service' => 'mymaster', 'parameters' => ['password' => self::MARK],
        ]);
        yield 'token' => static fn () => new ResilientRedis("tls://127.0.0.1:$port", $options + ['iam' => [
            'user' => 'app', 'cache' => 'my-cache', 'region' => 'eu-central-1', 'credentials' => static fn (): array => self::AWS,
        ]]);
    }

    private function lookAt(string $way, ResilientRedis $redis): void
    {
        ob_start();
        var_dump($redis, $redis->getOptions(), $redis->getConnection());
        debug_zval_dump($redis);
        echo new \ReflectionObject($redis);
        phpinfo(INFO_MODULES);
        $this->note("$way, shown", ob_get_clean());
        $this->note("$way, printed", [$redis, $redis->getOptions()]);
        $this->note("$way, as an array", [(array) $redis, get_object_vars($redis), get_mangled_object_vars($redis)]);
        $this->note("$way, its numbers", [$redis->stats(), $redis->topology()]);
        foreach (['serialize' => serialize(...), 'json' => json_encode(...), 'clone' => static fn ($redis) => clone $redis] as $name => $look) {
            $this->note("$way, what $name gave", $this->watch("$way, $name", static fn () => $look($redis)));
        }
    }

    /** What the work gives; null if it throws, and then all that the exceptions say is noted. */
    private function watch(string $where, callable $work): mixed
    {
        try {
            return $work();
        } catch (\Throwable $thrown) {
            $this->seen[$where] = '';
            for (; $thrown !== null; $thrown = $thrown->getPrevious()) {
                $this->seen[$where] .= $thrown . "\n" . $this->traced($thrown);
            }

            return null;
        }
    }

    /** The trace with its arguments, as far as they are ours. */
    private function traced(\Throwable $thrown): string
    {
        $text = '';
        foreach ($thrown->getTrace() as $frame) {
            if (str_starts_with($frame['class'] ?? '', 'ResilientRedis')) {
                $text .= $frame['function'] . print_r($frame['args'] ?? [], true);
            }
        }

        return $text . var_export($thrown->getMessage(), true);
    }

    private function note(string $where, mixed $value): void
    {
        if (is_string($value)) {
            $this->seen[$where] = $value;

            return;
        }
        ob_start();
        var_dump($value);
        $this->seen[$where] = ob_get_clean() . print_r($value, true) . json_encode($value, JSON_PARTIAL_OUTPUT_ON_ERROR);
    }

    private function assertNothingShown(): void
    {
        foreach ($this->seen as $where => $text) {
            foreach ([self::MARK, 'Hunter', 'X-Amz-Signature'] as $secret) {
                self::assertStringNotContainsString($secret, $text, $where);
            }
        }
        self::assertGreaterThan(1, count($this->seen));
        $this->seen = [];
    }

    /** @return array{cert: string, key: string} */
    private function certificates(): array
    {
        $folder = Scratch::folder('secrets-key');
        $key = openssl_pkey_new(['private_key_bits' => 2048]);
        $request = openssl_csr_new(['commonName' => 'client'], $key);
        openssl_x509_export_to_file(openssl_csr_sign($request, null, $key, 1), "$folder/cert.pem");
        openssl_pkey_export_to_file($key, "$folder/key.pem", self::MARK . '-right');

        return ['cert' => "$folder/cert.pem", 'key' => "$folder/key.pem"];
    }
}
